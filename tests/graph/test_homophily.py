"""edge_homophily against sets, for items and users."""

import math

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM, similar
from drepm_pyg.graph import edge_homophily, homophily
from tests import toy


def reference(data: HeteroData, modality: str, node: str) -> float:
    user, item = data[USER_ITEM].edge_index.tolist()
    own, partner = (item, user) if node == "item" else (user, item)
    partners = [{p for o, p in zip(own, partner, strict=True) if o == n} for n in range(data[node].num_nodes)]
    edges = [(a, b) for a, b in data[similar(node, modality)].edge_index.T.tolist() if a != b]
    return sum(bool(partners[a] & partners[b]) for a, b in edges) / len(edges)


@pytest.mark.parametrize("node", ["item", "user"])
@pytest.mark.parametrize("block", [1, 20, 1 << 22])
def test_the_share_of_edges_whose_ends_meet(node: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homophily, "_BLOCK_ENTRIES", block)
    data = toy.toy_data(num_users=30, num_items=25, num_edges=110)
    for modality in ("image", "text"):
        expected = reference(data, modality, node)
        assert 0 < expected < 1
        assert edge_homophily(data, modality, node) == pytest.approx(expected)


def test_held_out_pairs_do_not_count() -> None:
    data = toy.toy_data()
    before = edge_homophily(data, "text")
    data[USER_ITEM].test_edge_label_index = torch.cartesian_prod(torch.arange(13), torch.arange(11)).T
    assert edge_homophily(data, "text") == before


def test_permuted_ids_change_nothing_where_pairs_follow(generator: torch.Generator) -> None:
    data = toy.toy_data()
    before = edge_homophily(data, "image", "user")
    rename = torch.randperm(toy.USERS, generator=generator)
    data["user", "similar_image", "user"].edge_index = rename[data["user", "similar_image", "user"].edge_index]
    user, item = data[USER_ITEM].edge_index
    data[USER_ITEM].edge_index = torch.stack([rename[user], item])
    assert edge_homophily(data, "image", "user") == pytest.approx(before)


def test_a_single_graph_needs_no_name() -> None:
    data = toy.toy_data()
    expected = edge_homophily(data, "text")
    del data["item", "similar_image", "item"]
    assert edge_homophily(data) == expected


def test_the_number_of_items_is_told_by_their_features() -> None:
    data = toy.toy_data()
    expected = edge_homophily(data, "text")
    del data["item"].num_nodes
    assert edge_homophily(data, "text") == expected


def test_self_loops_alone_have_no_homophily() -> None:
    data = toy.toy_data()
    data["item", "similar_text", "item"].edge_index = torch.arange(11).repeat(2, 1)
    assert math.isnan(edge_homophily(data, "text"))


@pytest.mark.errors
def test_the_graph_must_be_named_and_be_there() -> None:
    data = toy.toy_data()
    with pytest.raises(ValueError, match=r"'modality' must name a 'item' graph .*\['image', 'text'\] \(got None\)"):
        edge_homophily(data)
    with pytest.raises(ValueError, match=r"\(got 'audio'\)"):
        edge_homophily(data, "audio", "user")


@pytest.mark.errors
def test_there_must_be_training_pairs() -> None:
    data = toy.toy_data()
    del data[USER_ITEM].edge_index
    for missing in ("the pairs", "their edge type"):
        with pytest.raises(
            ValueError, match=r"edge_homophily needs the training pairs, data\['user', 'interacts', 'it"
        ):
            edge_homophily(data, "text")
        assert (USER_ITEM in data.edge_types) == (missing == "the pairs")  # nothing was added to the data
        if missing == "the pairs":
            del data[USER_ITEM]
    with pytest.raises(TypeError, match=r"edge_homophily needs a HeteroData .* \(got Tensor\)"):
        edge_homophily(torch.zeros(2, 0), "text")
