"""How far a search is."""

import pytest
import torch

from drepm_pyg.graph import knn_graph
from drepm_pyg.graph.progress import watching


@pytest.mark.parametrize("index", ["gram", "blocks", "flat"])
def test_the_watcher_hears_of_every_block(index: str, generator: torch.Generator) -> None:
    if index == "flat":
        pytest.importorskip("faiss")
    x = torch.randn(9000, 4, generator=generator)
    shares: list[float] = []
    with watching(shares.append):
        graph = knn_graph(x, 3, index=index)
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1
    heard = len(shares)
    assert torch.equal(knn_graph(x, 3, index=index), graph)
    assert len(shares) == heard
