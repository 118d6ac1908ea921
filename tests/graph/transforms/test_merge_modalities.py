"""MergeModalities against dense sums, and against the item graph that FREEDOM propagates over."""

import pickle

import pytest
import torch
import torch_geometric.transforms as T
from torch import Tensor
from torch_geometric.data import HeteroData

from drepm_pyg.data import similar
from drepm_pyg.graph import MergeModalities, NormalizeSimilarity
from drepm_pyg.models import FREEDOM
from drepm_pyg.nn import KNNGraphConv

WEIGHTS = {"image": 0.1, "text": 0.9}


def dense(data: HeteroData, node: str, modality: str) -> Tensor:
    store, size = data[similar(node, modality)], data[node].num_nodes
    matrix = torch.zeros(size, size)
    return matrix.index_put((store.edge_index[1], store.edge_index[0]), store.edge_weight, accumulate=True)


@pytest.mark.parametrize("node", ["item", "user"])
def test_the_sum_stands_under_its_name(data: HeteroData, node: str) -> None:
    out = MergeModalities({"image": 0.3, "text": 0.5}, name="both")(data)
    expected = 0.3 * dense(data, node, "image") + 0.5 * dense(data, node, "text")
    torch.testing.assert_close(dense(out, node, "both"), expected)
    assert out[node, "similar_both", node].edge_index.size(1) == int((expected > 0).sum())
    assert similar(node, "both") not in data.edge_types


def test_it_is_the_graph_of_freedom(data: HeteroData, generator: torch.Generator) -> None:
    merged = T.Compose([NormalizeSimilarity(), MergeModalities(WEIGHTS, nodes=["item"])])(data)
    x = torch.randn(data["item"].num_nodes, 4, generator=generator)
    store = merged["item", "similar_merged", "item"]
    ours = KNNGraphConv(normalize=False)(x, store.edge_index, store.edge_weight)
    torch.testing.assert_close(ours, FREEDOM.from_data(data).item_graph(data).matmul(x))


def test_nodes_without_graphs_are_passed_over(data: HeteroData) -> None:
    del data["user", "similar_image", "user"], data["user", "similar_text", "user"]
    out = MergeModalities(WEIGHTS)(data)
    assert similar("user", "merged") not in out.edge_types
    assert similar("item", "merged") in out.edge_types


def test_pickles_and_says_what_it_is(data: HeteroData) -> None:
    transform = pickle.loads(pickle.dumps(MergeModalities(WEIGHTS)))
    assert similar("item", "merged") in transform(data).edge_types
    assert repr(transform) == "MergeModalities(weights={'image': 0.1, 'text': 0.9}, name='merged')"
    assert repr(MergeModalities({"text": 1.0}, nodes=["item"])).endswith("name='merged', nodes=('item',))")


@pytest.mark.errors
class TestErrors:
    def test_a_graph_that_one_node_type_lacks(self, data: HeteroData) -> None:
        del data["user", "similar_image", "user"]
        with pytest.raises(ValueError, match=r"no edges \('user', 'similar_image', 'user'\).*leave 'user' out"):
            MergeModalities(WEIGHTS)(data)

    @pytest.mark.parametrize("weights", ["text", [0.1, 0.9]])
    def test_weights_without_names(self, weights: object) -> None:
        with pytest.raises(TypeError, match=r"'weights' must map each modality to a number \(got (str|list)\)"):
            MergeModalities(weights)

    def test_a_name_that_is_taken_or_none(self) -> None:
        with pytest.raises(ValueError, match=r"'name' must differ from the modalities in 'weights' \(got 'text'\)"):
            MergeModalities(WEIGHTS, name="text")
        with pytest.raises(ValueError, match=r"A modality cannot be named 'image\+text'"):
            MergeModalities(WEIGHTS, name="image+text")
        with pytest.raises(TypeError, match=r"'name' must be a string \(got 3, a int\)"):
            MergeModalities(WEIGHTS, name=3)

    def test_weights(self) -> None:
        with pytest.raises(ValueError, match=r"'weights' must not all be 0 \(got \{\}\)"):
            MergeModalities({})
