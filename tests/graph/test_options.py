"""What the builders share: options are checked before any work, and weights that a dtype cannot hold are told."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from drepm_pyg._checks import MissingExtraError
from drepm_pyg.graph import AddSimilarityGraphs, features, knn_graph, rows, user_knn_graph

PAIRS = torch.arange(6).repeat(2, 1)


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return torch.randn(6, 4, generator=generator)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No row may be looked at."""

    def read(*arguments: object) -> None:
        raise AssertionError("rows were read")

    for module in (features, rows):
        monkeypatch.setattr(module, "select", read)


@pytest.mark.parametrize(
    ("factor", "dtype"),
    [(1e30, torch.float32), (1e-30, torch.float32), (1e200, torch.float64), (1e-200, torch.float64)],
)
def test_products_that_a_dtype_cannot_hold_are_told(
    x: Tensor, factor: float, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    edge_index, weight = knn_graph(factor * x.to(dtype), 2, metric="ip", return_weight=True)
    assert torch.equal(edge_index, knn_graph(x.to(dtype), 2, metric="ip"))
    assert (weight.isinf() | (weight == 0)).all()
    assert f"12 of 12 weights are inf or 0, as {dtype} cannot hold them for metric='ip'" in caplog.text


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_nothing_is_told_of_weights_that_are_zero(metric: str, caplog: pytest.LogCaptureFixture) -> None:
    x = torch.eye(6)
    x[5] = x[4]
    knn_graph(x, 2, metric=metric, return_weight=True)
    assert caplog.text == ""


@pytest.mark.errors
@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("batch", [None, torch.arange(6)])
class TestBeforeRowsAreRead:
    def test_loop(self, x: Tensor, batch: Tensor | None) -> None:
        with pytest.raises(TypeError, match=r"'loop' must be True or False \(got 'no'\)"):
            knn_graph(x, 1, loop="no", batch=batch)

    @pytest.mark.parametrize(("index", "error"), [("nonsense", ValueError), (5, TypeError), (None, TypeError)])
    def test_index(self, x: Tensor, batch: Tensor | None, index: Any, error: type[Exception]) -> None:
        pytest.importorskip("faiss")
        with pytest.raises(error, match="'index' must be"):
            knn_graph(x, 1, index=index, batch=batch)


@pytest.mark.errors
@pytest.mark.usefixtures("unread")
def test_users_options_are_checked_before_rows_are_read(x: Tensor) -> None:
    pytest.importorskip("faiss")
    with pytest.raises(TypeError, match="'loop' must be True or False"):
        user_knn_graph(x, PAIRS, 6, 1, loop="x")
    with pytest.raises(ValueError, match=r"'index' must be 'auto', .* \(got 'nonsense'; FAISS: could not parse"):
        user_knn_graph(x, PAIRS, 6, 1, index="nonsense")


def test_a_factory_string_that_one_width_allows_is_taken() -> None:
    pytest.importorskip("faiss")
    x = torch.randn(700, 28, generator=torch.Generator().manual_seed(0))
    assert knn_graph(x, 2, index="PQ7x4").shape == (2, 1400)  # 7 does not divide every width


@pytest.mark.errors
def test_faiss_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match="index='ivf' needs FAISS"):
        AddSimilarityGraphs(2, index="ivf")
    AddSimilarityGraphs(2, index="exact")
