"""Frozen operators: dense references, one build per tensor, nothing kept for longer than it."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable

import pytest
import torch
from torch_geometric import EdgeIndex

from drepm_pyg.nn import (
    LightGCNConv,
    SparseStructure,
    bipartite_structure,
    graph_structure,
    interaction_structure,
    mean_structure,
)

PAIRS = torch.tensor([[0, 0, 2, 1], [1, 0, 1, 1]])  # users 0-3, items 0-2; user 3 and item 2 have none


def test_bipartite_is_symmetric_and_normalised_at_both_ends() -> None:
    dense = bipartite_structure(PAIRS, 4, 3).matmul(torch.eye(7))
    torch.testing.assert_close(dense, dense.T)
    assert dense[0, 4 + 1].item() == pytest.approx((2 * 3) ** -0.5)  # user 0 has 2 items, item 1 has 3 users
    assert dense[3].abs().sum() == dense[6].abs().sum() == 0


def test_mean_takes_each_user_over_its_items() -> None:
    x = torch.tensor([[1.0], [5.0], [100.0]])
    assert mean_structure(PAIRS, 4, 3).matmul(x).flatten().tolist() == [3.0, 5.0, 5.0, 0.0]
    turned = mean_structure(PAIRS.flip(0), 4, 3, reverse=True)
    assert turned.matmul(x).flatten().tolist() == [3.0, 5.0, 5.0, 0.0]
    masked = mean_structure(PAIRS, 4, 3, torch.tensor([True, False, True]))
    assert masked.matmul(x).flatten().tolist() == [1.0, 0.0, 0.0, 0.0]
    assert masked.row_counts().tolist() == [1, 0, 0, 0]


def test_graph_is_the_matrix_of_targets_by_sources() -> None:
    edge_index, weight = torch.tensor([[0, 2], [1, 1]]), torch.tensor([2.0, 3.0])
    plain = graph_structure(edge_index, weight, 3, normalize=False)
    assert plain.matmul(torch.eye(3)).tolist() == [[0, 0, 0], [2, 0, 3], [0, 0, 0]]
    assert torch.equal(plain.T.matmul(torch.eye(3)), plain.matmul(torch.eye(3)).T)
    assert plain.size == plain.T.size == (3, 3)


def test_interactions_are_the_block_of_the_bipartite_operator() -> None:
    whole = bipartite_structure(PAIRS, 4, 3).matmul(torch.eye(7))
    half = interaction_structure(PAIRS, 4, 3)
    torch.testing.assert_close(half.matmul(torch.eye(3)), whole[:4, 4:])
    torch.testing.assert_close(half.T.matmul(torch.eye(4)), whole[4:, :4])


@pytest.mark.parametrize("build", [bipartite_structure, interaction_structure, mean_structure])
def test_pairs_may_come_in_any_form(build: Callable[..., SparseStructure]) -> None:
    coo = torch.sparse_coo_tensor(PAIRS.flip(0), torch.ones(4), (3, 4)).coalesce()
    expected = build(PAIRS, 4, 3)
    for form in (EdgeIndex(PAIRS, sparse_size=(4, 3)), coo, coo.to_sparse_csr(), coo.to_sparse_csc()):
        structure = build(form, 4, 3)
        assert build(form, 4, 3) is structure
        torch.testing.assert_close(
            structure.matmul(torch.eye(expected.size[1])), expected.matmul(torch.eye(expected.size[1]))
        )


def test_each_type_meets_weights_of_its_own_precision() -> None:
    structure = mean_structure(torch.tensor([[0, 0, 0], [0, 1, 2]]), 1, 3)
    assert structure.matmul(torch.ones(3, 1)).dtype == torch.float32
    assert structure.matmul(torch.eye(3, dtype=torch.float64))[0, 0].item() == 1 / 3
    assert structure.matmul(torch.ones(3, 1, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_product_edge_by_edge_is_equal(generator: torch.Generator) -> None:
    """What devices other than CPU and CUDA take."""
    matrix, x = mean_structure(PAIRS, 4, 3).forward, torch.randn(3, 5, generator=generator)
    torch.testing.assert_close(matrix._scattered(x, matrix.weight_as(x.dtype)), matrix.matmul(x))


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


def test_a_change_in_either_part_of_an_edge_index_is_seen() -> None:
    for change in (lambda pairs: pairs, lambda pairs: pairs.as_tensor()):
        pairs = EdgeIndex(PAIRS.clone(), sparse_size=(4, 3))
        mean_structure(pairs, 4, 3)
        change(pairs)[1, 0] = 2
        assert mean_structure(pairs, 4, 3).matmul(torch.eye(3))[0].tolist() == [0.5, 0.0, 0.5]


def test_tensors_of_inference_mode_are_read_anew() -> None:
    """They keep no count of their changes."""
    with torch.inference_mode():
        pairs = PAIRS.clone()
        first = mean_structure(pairs, 4, 3)
        pairs[1, 0] = 2
        changed = mean_structure(pairs, 4, 3)
    assert changed.matmul(torch.eye(3))[0].tolist() == [0.5, 0.0, 0.5]
    x = torch.ones(3, 1, requires_grad=True)
    first.matmul(x).sum().backward()
    assert x.grad.flatten().tolist() == [0.5, 2.5, 0.0]


def test_a_changed_mask_or_weight_is_seen() -> None:
    pairs, mask = PAIRS.clone(), torch.tensor([True, True, True])
    mean_structure(pairs, 4, 3, mask)
    mask[0] = False
    assert mean_structure(pairs, 4, 3, mask).row_counts().tolist() == [1, 1, 1, 0]


def test_two_weightings_of_a_graph_are_kept_side_by_side() -> None:
    edge_index, one, two = torch.tensor([[0, 1], [1, 0]]), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    first, second = graph_structure(edge_index, one, 2), graph_structure(edge_index, two, 2)
    assert first is not second
    assert graph_structure(edge_index, one, 2) is first
    assert graph_structure(edge_index, two, 2) is second


def test_what_was_made_of_gone_weights_makes_room() -> None:
    edge_index, weight = torch.tensor([[0, 1], [1, 0]]), torch.tensor([1.0, 2.0])
    gone = weakref.ref(graph_structure(edge_index, weight, 2))
    weight = torch.tensor([3.0, 4.0])
    graph_structure(edge_index, weight, 2)
    gc.collect()
    assert gone() is None


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo itself does so
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
def test_a_sparse_adjacency_is_compiled_before_it_was_used(layout: str) -> None:
    def adjacency() -> torch.Tensor:
        return getattr(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), layout)()

    compiled = torch.compile(LightGCNConv(), backend="aot_eager")
    torch.testing.assert_close(compiled(torch.eye(2), adjacency()), LightGCNConv()(torch.eye(2), adjacency()))


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


def test_means_under_several_masks_are_kept_side_by_side() -> None:
    masks = torch.tensor([True, False, True]), torch.tensor([False, True, True])
    first = [mean_structure(PAIRS, 4, 3, mask) for mask in masks]
    assert [mean_structure(PAIRS, 4, 3, mask) for mask in masks] == first


def test_means_of_rows_and_of_columns() -> None:
    """User 0 has both items, user 1 has none."""
    pairs, x = torch.tensor([[0, 0], [0, 1]]), torch.eye(2)
    assert mean_structure(pairs, 2, 2).matmul(x).tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert mean_structure(pairs, 2, 2, reverse=True).matmul(x).tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_operators_of_other_sizes_are_others() -> None:
    pairs = torch.tensor([[0, 0], [0, 1]])
    assert interaction_structure(pairs, 2, 2).size == (2, 2)
    assert interaction_structure(pairs, 3, 4).size == (3, 4)


def test_weights_of_a_sparse_adjacency_are_those_of_the_dense_operator() -> None:
    weight = torch.tensor([4.0, 5.0, 2.0, 11.0], dtype=torch.float64)
    adj_t = torch.sparse_coo_tensor(PAIRS.flip(0), weight, (3, 4)).coalesce()
    a = torch.zeros(7, 7, dtype=torch.float64)
    a[:4, 4:] = adj_t.to_dense().T
    a[4:, :4] = adj_t.to_dense()
    scale = torch.where(a.sum(1) > 0, a.sum(1).rsqrt(), 0.0)
    dense = bipartite_structure(adj_t, 4, 3).matmul(torch.eye(7, dtype=torch.float64))
    torch.testing.assert_close(dense, scale[:, None] * a * scale)


def test_torch_func_follows_a_frozen_product(generator: torch.Generator) -> None:
    structure = mean_structure(PAIRS, 4, 3)
    x, tangent = torch.randn(2, 3, 5, generator=generator)
    out, slope = torch.func.jvp(structure.matmul, (x,), (tangent,))
    torch.testing.assert_close((out, slope), (structure.matmul(x), structure.matmul(tangent)))
    expected = torch.stack([structure.matmul(x), structure.matmul(tangent)])
    for place in (0, 1, 2):
        batch = torch.stack([x, tangent], dim=place)
        torch.testing.assert_close(torch.func.vmap(structure.matmul, in_dims=place)(batch), expected)


@pytest.mark.errors
def test_counts_and_masks_of_another_kind_are_named() -> None:
    for build, name in (
        (lambda: graph_structure(PAIRS, None, "6"), "num_nodes"),
        (lambda: mean_structure(PAIRS, 4, "3"), "num_cols"),
        (lambda: bipartite_structure(PAIRS, "4", 3), "num_users"),
        (lambda: interaction_structure(PAIRS, 4, None), "num_items"),
    ):
        with pytest.raises(TypeError, match=f"'{name}' must be an integer"):
            build()
    with pytest.raises(TypeError, match=r"'mask' must be a torch tensor \(got a list\)"):
        mean_structure(PAIRS, 4, 3, mask=[True])
