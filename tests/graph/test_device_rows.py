"""The arithmetic of rows that stay on a device, run on a CPU: no GPU has run it, but its numbers are the same there."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drepm_pyg.graph import bipartite_knn_graph, extend_knn_graph, knn_graph, user_knn_graph
from drepm_pyg.graph.device_rows import on_one_gpu, row_products
from drepm_pyg.graph.inner import row_marks

KINDS = ["normal", "duplicates", "zeros", "tiny", "integers", "wide", "one column"]


def features(kind: str) -> Tensor:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((90, 1 if kind == "one column" else 37))
    if kind == "duplicates":
        x[::3] = x[0]
        x[5] = -0.0
        x[6] = 0.0
    if kind == "zeros":
        x[::4] = 0
    if kind == "tiny":
        x[::2] *= 1e-300
    if kind == "integers":
        x = rng.integers(-2, 3, x.shape).astype(np.float64)
    if kind == "wide":
        x *= np.exp(8 * rng.standard_normal((90, 1)))
    return torch.from_numpy(x)


def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every tensor lay on a GPU."""
    monkeypatch.setattr("drepm_pyg.graph.options.on_one_gpu", lambda parts: True)


def both(monkeypatch: pytest.MonkeyPatch, call: Any) -> tuple[Any, Any]:
    plain = call()
    pretend(monkeypatch)
    return plain, call()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("index", ["gram", "blocks", "flat"])
def test_the_graph_is_that_of_rows_on_the_cpu(
    kind: str, metric: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = features(kind)
    if index == "flat":
        pytest.importorskip("faiss")
        if kind == "tiny":
            pytest.skip("float32 vectors of an index cannot hold them")
    options: dict[str, Any] = {"metric": metric, "index": index, "return_weight": True}
    plain, found = both(monkeypatch, lambda: knn_graph(x, 6, **options))
    assert torch.equal(found[0], plain[0])
    torch.testing.assert_close(found[1], plain[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_grouped_and_short_dtypes(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x, mask = features("duplicates").to(dtype), torch.arange(90) % 5 > 0
    x[~mask] = torch.nan
    batch = torch.arange(90) % 3
    plain, found = both(monkeypatch, lambda: knn_graph(x, 4, mask=mask, batch=batch, loop=True))
    assert torch.equal(found, plain)


def test_two_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features("duplicates"), features("normal").float()
    plain, found = both(monkeypatch, lambda: bipartite_knn_graph(x, y, 5))
    assert torch.equal(found, plain)


def test_new_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    x = features("integers")
    before = knn_graph(x[:80], 5)
    plain, found = both(monkeypatch, lambda: extend_knn_graph(before, x[:80], x[80:], 5))
    assert torch.equal(found, plain)
    assert torch.equal(found, knn_graph(x, 5))


def test_means_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = torch.stack([torch.arange(200) % 40, torch.arange(200) * 7 % 90])
    plain, found = both(monkeypatch, lambda: user_knn_graph(features("normal"), pairs, 40, 5))
    assert torch.equal(found, plain)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("return_weight", [False, True])
def test_features_do_not_come_to_the_cpu(metric: str, return_weight: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    brought = []
    to_cpu = Tensor.cpu

    def counted(self: Tensor) -> Tensor:
        brought.append(self.numel())
        return to_cpu(self)

    monkeypatch.setattr(Tensor, "cpu", counted)
    x = torch.randn(300, 512, generator=torch.Generator().manual_seed(0))
    knn_graph(x, 5, metric=metric, return_weight=return_weight)
    assert 0 < sum(brought) < x.numel() / 4


def test_a_row_product_depends_on_its_two_rows_alone(generator: torch.Generator) -> None:
    for width in (1, 2, 3, 31, 64, 100):
        a, b = torch.randn(2, 50, width, generator=generator, dtype=torch.float64)
        whole = row_products(a, b)
        assert np.array_equal(whole, [row_products(a[n : n + 1], b[n : n + 1])[0] for n in range(50)])
        exact = [math.fsum((x * y).tolist()) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(whole, exact, rtol=1e-12, atol=1e-14)


def test_equal_rows_have_equal_marks_and_others_have_not(generator: torch.Generator) -> None:
    x = torch.randn(200, 9, generator=generator, dtype=torch.float64)
    x[:, 4] = 0.0
    y = x.clone()
    y[:, 4] = -0.0
    assert torch.equal(row_marks(x), row_marks(y))
    assert len(row_marks(torch.cat([x, x.flip(1)])).unique()) == 400


def test_cpu_tensors_and_arrays_are_no_tensors_of_a_gpu() -> None:
    x = features("normal")
    assert not on_one_gpu({"x": x})
    assert not on_one_gpu({"x": x.numpy()})
    assert not on_one_gpu({"x": torch.empty(2, 2, device="meta"), "y": x.numpy()})
