"""UserCooccurrenceGraph: the function's graph, in the data."""

import pickle

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM
from drepm_pyg.graph import UserCooccurrenceGraph, user_cooccurrence_graph


@pytest.mark.parametrize(("metric", "shrink"), [("count", 0.0), ("cosine", 2.0)])
def test_stores_the_graph_and_its_weights(data: HeteroData, metric: str, shrink: float) -> None:
    transform = pickle.loads(pickle.dumps(UserCooccurrenceGraph(4, metric, shrink)))
    store = transform(data)["user", "cooccurs", "user"]
    sizes = data["user"].num_nodes, data["item"].num_nodes
    edge_index, weight = user_cooccurrence_graph(data[USER_ITEM].edge_index, *sizes, 4, metric=metric, shrink=shrink)
    assert torch.equal(store.edge_index, edge_index)
    assert torch.equal(store.edge_weight, weight)
    assert ("user", "cooccurs", "user") not in data.edge_types


def test_says_what_it_is() -> None:
    assert repr(UserCooccurrenceGraph(4)) == "UserCooccurrenceGraph(k=4, metric='count', shrink=0.0)"


@pytest.mark.errors
def test_errors() -> None:
    with pytest.raises(ValueError, match=r"'metric' must be one of 'count', 'cosine' \(got 'jaccard'\)"):
        UserCooccurrenceGraph(metric="jaccard")
    with pytest.raises(ValueError, match=r"'shrink' must be 0 for metric='count'"):
        UserCooccurrenceGraph(3, shrink=2.0)
    with pytest.raises(ValueError, match=r"UserCooccurrenceGraph needs the training pairs"):
        UserCooccurrenceGraph()(HeteroData())
