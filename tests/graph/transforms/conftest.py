"""Data with graphs of two modalities over items and users."""

import pytest
from torch_geometric.data import HeteroData

from drepm_pyg.graph import AddSimilarityGraphs
from tests import toy


@pytest.fixture
def data() -> HeteroData:
    data = toy.toy_data()
    for kind in [kind for kind in data.edge_types if kind[1].startswith("similar")]:
        del data[kind]
    return AddSimilarityGraphs(k=3)(data)
