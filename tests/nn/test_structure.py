"""Frozen operators: dense references, one build per tensor, nothing kept for longer than it."""

import copy
import gc
import pickle
import weakref

import pytest
import torch

from drepm_pyg.nn import SparseStructure, bipartite_structure, graph_structure, mean_structure

PAIRS = torch.tensor([[0, 0, 2, 1], [1, 0, 1, 1]])  # users 0-3, items 0-2; user 3 and item 2 have none


def test_bipartite_is_symmetric_and_normalised_at_both_ends() -> None:
    dense = bipartite_structure(PAIRS, 4, 3).matmul(torch.eye(7))
    torch.testing.assert_close(dense, dense.T)
    assert dense[0, 4 + 1].item() == pytest.approx((2 * 3) ** -0.5)  # user 0 has 2 items, item 1 has 3 users
    assert dense[3].abs().sum() == dense[6].abs().sum() == 0


def test_mean_takes_each_user_over_its_items() -> None:
    x = torch.tensor([[1.0], [5.0], [100.0]])
    assert mean_structure(PAIRS, 4, 3).matmul(x).flatten().tolist() == [3.0, 5.0, 5.0, 0.0]
    masked = mean_structure(PAIRS, 4, 3, torch.tensor([True, False, True]))
    assert masked.matmul(x).flatten().tolist() == [1.0, 0.0, 0.0, 0.0]
    assert masked.row_counts().tolist() == [1, 0, 0, 0]


def test_graph_is_the_matrix_of_targets_by_sources() -> None:
    edge_index, weight = torch.tensor([[0, 2], [1, 1]]), torch.tensor([2.0, 3.0])
    plain = graph_structure(edge_index, weight, 3, normalize=False)
    assert plain.matmul(torch.eye(3)).tolist() == [[0, 0, 0], [2, 0, 3], [0, 0, 0]]
    assert torch.equal(plain.T.matmul(torch.eye(3)), plain.matmul(torch.eye(3)).T)
    assert plain.size == plain.T.size == (3, 3)


def test_backward_multiplies_by_the_transpose(generator: torch.Generator) -> None:
    structure = mean_structure(PAIRS, 4, 3)
    x = torch.randn(3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(structure.matmul, (x,))
    assert torch.autograd.gradgradcheck(structure.matmul, (x,))


def test_the_same_tensor_is_prepared_once() -> None:
    pairs = PAIRS.clone()
    first = bipartite_structure(pairs, 4, 3)
    assert isinstance(first, SparseStructure)
    assert bipartite_structure(pairs, 4, 3) is first
    assert bipartite_structure(pairs, 5, 3) is not first
    assert bipartite_structure(pairs.clone(), 4, 3) is not bipartite_structure(pairs, 4, 3)


def test_a_change_in_place_is_seen() -> None:
    pairs = PAIRS.clone()
    before = mean_structure(pairs, 4, 3).matmul(torch.eye(3))
    pairs[1, 0] = 2
    after = mean_structure(pairs, 4, 3).matmul(torch.eye(3))
    assert before[0].tolist() == [0.5, 0.5, 0.0]
    assert after[0].tolist() == [0.5, 0.0, 0.5]


def test_a_changed_mask_or_weight_is_seen() -> None:
    pairs, mask = PAIRS.clone(), torch.tensor([True, True, True])
    mean_structure(pairs, 4, 3, mask)
    mask[0] = False
    assert mean_structure(pairs, 4, 3, mask).row_counts().tolist() == [1, 1, 1, 0]


def test_memory_goes_with_the_tensor() -> None:
    pairs = PAIRS.clone()
    gone = weakref.ref(bipartite_structure(pairs, 4, 3))
    del pairs
    gc.collect()
    assert gone() is None


def test_what_is_kept_does_not_travel_with_copies() -> None:
    pairs = PAIRS.clone()
    size = len(pickle.dumps(pairs))
    bipartite_structure(pairs, 4, 3)
    assert len(pickle.dumps(pairs)) == size
    assert torch.equal(copy.deepcopy(pairs), pairs)


@pytest.mark.errors
def test_ids_out_of_range_and_wrong_rows_are_named() -> None:
    with pytest.raises(ValueError, match=r"'edge_index\[0\]' must hold ids in \[0, 2\) for 2 users \(got 0 to 2\)"):
        bipartite_structure(PAIRS, 2, 3)
    with pytest.raises(ValueError, match=r"'x' must have the shape \[3, D\] \(got \[4, 2\]\)"):
        mean_structure(PAIRS, 4, 3).matmul(torch.ones(4, 2))
