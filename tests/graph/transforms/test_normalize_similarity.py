"""NormalizeSimilarity against the function it is, on what AddSimilarityGraphs wrote."""

import copy
import pickle
from typing import Any

import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import HeteroData

from drepm_pyg.data import similar
from drepm_pyg.graph import AddSimilarityGraphs, NormalizeSimilarity, normalize_graph

GRAPHS = [similar(node, modality) for node in ("item", "user") for modality in ("image", "text")]


@pytest.mark.parametrize("mode", ["sym", "row", "col"])
def test_every_graph_gets_the_weights_of_normalize_graph(data: HeteroData, mode: Any) -> None:
    out = NormalizeSimilarity(mode)(data)
    for kind in GRAPHS:
        assert out[kind].edge_index is data[kind].edge_index
        expected = normalize_graph(*data[kind].values(), num_nodes=data[kind[0]].num_nodes, mode=mode)[1]
        assert torch.equal(out[kind].edge_weight, expected)


def test_only_what_was_asked_for_changes(data: HeteroData) -> None:
    out = NormalizeSimilarity(modalities=["text"], nodes=["item"])(data)
    changed = [kind for kind in GRAPHS if out[kind].edge_weight is not data[kind].edge_weight]
    assert changed == [similar("item", "text")]


def test_a_graph_without_weights_is_binary(data: HeteroData) -> None:
    weighted = NormalizeSimilarity()(data)
    for kind in GRAPHS:
        del data[kind].edge_weight
    bare = NormalizeSimilarity()(data)
    assert all(torch.equal(bare[kind].edge_weight, weighted[kind].edge_weight) for kind in GRAPHS)


def test_users_without_graphs_are_passed_over(data: HeteroData) -> None:
    for kind in GRAPHS[2:]:
        del data[kind]
    assert NormalizeSimilarity("row")(data)["item", "similar_text", "item"].edge_weight.sum() == pytest.approx(11)


def test_the_data_given_is_left_alone_and_the_transform_pickles(data: HeteroData) -> None:
    before = copy.deepcopy(data)
    pickle.loads(pickle.dumps(T.Compose([NormalizeSimilarity("row")])))(data)
    assert all(torch.equal(data[kind].edge_weight, before[kind].edge_weight) for kind in GRAPHS)


def test_items_alone_need_no_number_of_nodes(generator: torch.Generator) -> None:
    data = HeteroData()
    data["item"].audio = torch.randn(6, 3, generator=generator)
    out = NormalizeSimilarity()(AddSimilarityGraphs(k=2, nodes=("item",))(data))
    assert out["item", "similar_audio", "item"].edge_weight.tolist() == pytest.approx([0.5] * 12)


def test_says_what_it_is() -> None:
    assert repr(NormalizeSimilarity("row")) == "NormalizeSimilarity(mode='row')"
    assert repr(NormalizeSimilarity(nodes=["user"])) == "NormalizeSimilarity(mode='sym', nodes=('user',))"


@pytest.mark.errors
class TestErrors:
    def test_no_graph(self) -> None:
        with pytest.raises(ValueError, match=r"no similarity graph of any modality over \['item', 'user'\]"):
            NormalizeSimilarity()(HeteroData({"item": {"num_nodes": 3}}))

    def test_a_modality_without_a_graph(self, data: HeteroData) -> None:
        with pytest.raises(ValueError, match=r"data has no edges \('item', 'similar_audio', 'item'\)"):
            NormalizeSimilarity(modalities=["audio", "text"])(data)

    def test_nodes(self) -> None:
        with pytest.raises(TypeError, match=r"'nodes' must be a list or a tuple \(got 'item'\)"):
            NormalizeSimilarity(nodes="item")
        with pytest.raises(ValueError, match=r"'nodes' must be one of 'item', 'user' \(got 'items'\)"):
            NormalizeSimilarity(nodes=["items"])
        with pytest.raises(ValueError, match=r"'nodes' must name distinct node types \(got \[\]\)"):
            NormalizeSimilarity(nodes=[])
        with pytest.raises(ValueError, match=r"'nodes' must be one of 'item', 'user' \(got \['item'\]\)"):
            NormalizeSimilarity(nodes=[["item"]])

    def test_unknown_size(self, data: HeteroData) -> None:
        del data["user"].num_nodes
        with pytest.raises(ValueError, match=r"data\['user'\].num_nodes is not set"):
            NormalizeSimilarity(nodes=["user"])(data)
