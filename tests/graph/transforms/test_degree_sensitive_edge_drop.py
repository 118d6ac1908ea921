"""DegreeSensitiveEdgeDrop: a graph beside the training pairs, which stay whole."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import HeteroData

from drepm_pyg.data import SPLIT_INDEX, USER_ITEM, Interactions, assign_split
from drepm_pyg.graph import DegreeSensitiveEdgeDrop, degree_sensitive_edge_drop


def test_the_kept_pairs_stand_both_ways_under_names_of_their_own(data: HeteroData) -> None:
    out = DegreeSensitiveEdgeDrop(0.6, seed=3)(data)
    expected = degree_sensitive_edge_drop(data[USER_ITEM].edge_index, 0.6, generator=torch.Generator().manual_seed(3))
    assert torch.equal(out["user", "pruned", "item"].edge_index, expected)
    assert torch.equal(out["item", "rev_pruned", "user"].edge_index, expected.flip(0))
    assert expected.size(1) == 18  # of 45


def test_training_validation_and_test_pairs_stay_as_they_are(data: HeteroData) -> None:
    before = copy.deepcopy(data)
    out = DegreeSensitiveEdgeDrop(0.6)(data)
    for name in SPLIT_INDEX.values():
        assert torch.equal(out[USER_ITEM][name], before[USER_ITEM][name])
    assert data.edge_types == before.edge_types


def test_held_out_pairs_do_not_matter(data: HeteroData) -> None:
    other = copy.deepcopy(data)
    other[USER_ITEM].test_edge_label_index = other[USER_ITEM].test_edge_label_index[:, :0]
    a, b = (DegreeSensitiveEdgeDrop(0.5, seed=0)(d)["user", "pruned", "item"].edge_index for d in (data, other))
    assert torch.equal(a, b)


@pytest.mark.errors
def test_a_seed_may_be_an_integer_of_numpy(data: HeteroData) -> None:
    one, other = (DegreeSensitiveEdgeDrop(0.5, seed=seed)(data) for seed in (3, np.int64(3)))
    assert torch.equal(one["user", "pruned", "item"].edge_index, other["user", "pruned", "item"].edge_index)


def test_without_a_seed_every_call_draws_anew(data: HeteroData) -> None:
    torch.manual_seed(0)
    transform = pickle.loads(pickle.dumps(T.Compose([DegreeSensitiveEdgeDrop(0.5, name="kept")])))
    draws = {tuple(transform(data)["user", "kept", "item"].edge_index.flatten().tolist()) for _ in range(5)}
    assert len(draws) > 1


def test_a_new_split_refuses_what_was_pruned_from_the_old_one(data: HeteroData) -> None:
    for kind in [kind for kind in data.edge_types if kind[1].startswith("similar")]:
        del data[kind]
    out = DegreeSensitiveEdgeDrop(0.5)(data)
    with pytest.raises(ValueError, match="would leak held-out"):
        assign_split(out, Interactions.of(out).label)


def test_says_what_it_is() -> None:
    assert repr(DegreeSensitiveEdgeDrop(0.8, seed=1)) == "DegreeSensitiveEdgeDrop(ratio=0.8, seed=1)"
    assert repr(DegreeSensitiveEdgeDrop(0.8, name="thin")).endswith("seed=None, name='thin')")


@pytest.mark.errors
def test_errors() -> None:
    with pytest.raises(ValueError, match=r"'ratio' must lie in \[0, 1\) \(got 1\)"):
        DegreeSensitiveEdgeDrop(1)
    for name in ("interacts", "not pruned", "rev_interacts", "similar_text", "cooccurs"):
        with pytest.raises(ValueError, match=rf"'name' must be an identifier, and not 'interacts'.*\(got '{name}'\)"):
            DegreeSensitiveEdgeDrop(0.5, name=name)
    with pytest.raises(TypeError, match=r"'name' must be a string \(got 3, a int\)"):
        DegreeSensitiveEdgeDrop(0.5, name=3)
    with pytest.raises(ValueError, match=r"'seed' must be less than 2\*\*64"):
        DegreeSensitiveEdgeDrop(0.5, seed=2**70)
    with pytest.raises(ValueError, match=r"DegreeSensitiveEdgeDrop needs the training pairs"):
        DegreeSensitiveEdgeDrop(0.5)(HeteroData())
