"""Products of 8-bit codes: close to the products of the rows, and graphs of users by them are the exact ones."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM
from drepm_pyg.graph import (
    AddSimilarityGraphs,
    codes,
    knn_graph,
    mean_codes,
    mean_products,
    products,
    tile_products,
    triangle,
    user_knn_graph,
)
from drepm_pyg.graph import coded_gram as coded_gram_module
from drepm_pyg.graph.coded_gram import CodedGram, coded_gram
from drepm_pyg.graph.codes import Codes, codes_multiply, codes_pay
from drepm_pyg.graph.find import How, find
from drepm_pyg.graph.mean_products import mean_route
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.rows import FeatureRows, Rows
from drepm_pyg.graph.space import Space
from tests.graph.dense_reference import assert_exact, scores_float64
from tests.graph.test_shortlist import all_scores, assert_bounded
from tests.graph.test_user_knn import interactions, mean_features

pytestmark = pytest.mark.skipif(not codes_multiply(), reason="this CPU's 8-bit products are not exact")


def rows_of(x: Tensor) -> FeatureRows:
    return FeatureRows({"x": x}, np.arange(len(x)), block_bytes=1 << 20)


def features(kind: str, generator: torch.Generator, size: int = 300, width: int = 96) -> Tensor:
    x = torch.randn(size, width, generator=generator)
    if kind == "positive":
        return x.relu()
    if kind == "far from 0":
        return x + 100
    if kind == "clustered":
        return x[torch.randint(20, (size,), generator=generator)] + 0.1 * x
    if kind == "of all lengths":
        return x * torch.randn(size, 1, generator=generator).exp()
    if kind == "few values":
        return (x > 1).float() + (torch.arange(size)[:, None] == torch.arange(width)).float()
    if kind == "constant rows among them":
        x[::5] = torch.arange(len(x[::5]))[:, None] / 10.0
    return x


KINDS = ["normal", "positive", "far from 0", "clustered", "of all lengths", "few values", "constant rows among them"]


@pytest.mark.parametrize("kind", KINDS)
def test_coded_products_are_those_of_the_rows(kind: str, generator: torch.Generator) -> None:
    rows = rows_of(features(kind, generator))
    gram = coded_gram(rows)
    x = rows.double(np.arange(len(rows.ties)))
    exact, found = x @ x.T, gram.unit * gram.products.double().numpy()
    assert (np.diag(found) == 0).all()
    assert (np.abs(found) <= 1.001 * np.outer(gram.level, gram.level)).all()
    np.fill_diagonal(found, gram.squares)
    found += gram.offset[:, None] + gram.offset
    # Errors of codes are those of their steps along the other row, six deviations of a uniform one at the most.
    along = np.outer(gram.step**2, gram.squares)
    bound = 6 / np.sqrt(12) * np.sqrt(along + along.T) + 2.0**-11 * np.outer(gram.level, gram.level) + 1e-6
    assert (np.abs(found - exact) <= bound).all()
    np.testing.assert_allclose(np.diag(found), rows.squares, rtol=1e-9, atol=1e-12)


def test_products_of_many_tiles_are_symmetric(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(features("normal", generator))
    whole = coded_gram(rows)
    monkeypatch.setattr(coded_gram_module, "_TILE", 64)  # with fewer rows in the last tile
    tiled = coded_gram(rows)
    for other in (tiled.products.T, whole.products):
        torch.testing.assert_close(tiled.products, other, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(tiled.level, whole.level, rtol=1e-5)


def test_equal_rows_but_for_the_last_bit_have_no_step(generator: torch.Generator) -> None:
    gram = coded_gram(rows_of(torch.arange(1.0, 6.0)[:, None].expand(5, 70) / 3))
    assert np.isfinite(gram.offset).all()
    assert gram.products.isfinite().all()


def test_a_kernel_that_saturates_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:

    def saturated(a: Tensor, b: Tensor) -> Tensor:  # as without VNNI: one factor unsigned, two products in 16 bits
        products = (a[:, :, None].double() + 128) * b[None].double()
        pairs = products.unflatten(1, (-1, 2)).sum(2).clamp(-(2**15), 2**15 - 1)
        return (pairs.sum(1) - 128 * b.double().sum(0)).int()

    def missing(a: Tensor, b: Tensor) -> Tensor:
        raise NotImplementedError

    monkeypatch.setattr(codes, "_PROBE", (8, 16))
    assert codes_multiply.__wrapped__()
    for kernel in (saturated, missing):
        monkeypatch.setattr(torch, "_int_mm", kernel)
        codes_multiply.cache_clear()
        try:
            assert not codes_multiply()
            assert not codes_pay.__wrapped__()
        finally:
            codes_multiply.cache_clear()


def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes serve, however few rows there are, and however much they leave open; so do tiles."""
    monkeypatch.setattr(codes, "codes_pay", lambda: True)
    for module, name in ((codes, "_WIDE"), (codes, "_WORK"), (coded_gram_module, "_WORK"), (triangle, "_ROWS")):
        monkeypatch.setattr(module, name, 0)
    for module in (mean_codes, coded_gram_module, triangle):
        monkeypatch.setattr(module, "gram_work", lambda rows: 1e12)


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> list[CodedGram]:
    """Products of items are coded, however few they are; the ones that were, as they come."""
    made: list[CodedGram] = []

    def counted(rows: FeatureRows) -> CodedGram:
        made.append(coded_gram(rows))
        return made[-1]

    always(monkeypatch)
    monkeypatch.setattr(mean_codes, "coded_gram", counted)
    return made


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("kind", KINDS)
def test_users_graphs_are_exact(
    kind: str, metric: str, loop: bool, generator: torch.Generator, coded: list[CodedGram]
) -> None:
    x = features(kind, generator)
    pairs = interactions(400, 300, 1500)
    mean, _ = mean_features(x, pairs, 400)
    edge_index, info = user_knn_graph(x, pairs, 400, 6, metric=metric, loop=loop, index="gram", return_info=True)
    assert len(coded) == 1
    assert info.index == "gram"
    assert info.exact
    assert_exact(edge_index, mean, 6, metric, loop)
    assert torch.equal(edge_index, user_knn_graph(x, pairs, 400, 6, metric=metric, loop=loop, index="blocks"))


@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_of_users_scores_is_within_its_bound(
    kind: str, metric: str, generator: torch.Generator, coded: list[CodedGram], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mean_products, "gram_of", None)  # by codes alone
    user, item = interactions(150, 300, 900).numpy()
    rows = MeanRows(rows_of(features(kind, generator)), user, item, np.ones(len(user)), 150, block_bytes=1 << 20)
    space = Space(rows, METRICS[metric], block_bytes=1 << 20)
    how = How(metric, "gram", torch.device("cpu"), 1 << 30, score_all=False, route=mean_route)
    exact = scores_float64(rows.double(np.arange(len(space))), metric)
    score, slack = all_scores(space, list(mean_route(space, how, len(space))[1]))
    assert len(coded) == 1
    assert_bounded(exact, score, slack, tightest=3e-2)


@pytest.fixture
def coded_tiles(monkeypatch: pytest.MonkeyPatch) -> list[Codes]:
    """Tiles are of coded rows, however few and narrow these are; the ones that were coded, as they come."""
    made: list[Codes] = []

    def counted(rows: Rows, *, block_bytes: int) -> Codes:
        made.append(Codes(rows, block_bytes=block_bytes))
        return made[-1]

    monkeypatch.setattr(tile_products, "Codes", counted)
    always(monkeypatch)
    return made


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("kind", KINDS)
def test_graphs_by_coded_tiles_are_exact(
    kind: str, metric: str, loop: bool, generator: torch.Generator, coded_tiles: list[Codes]
) -> None:
    x = features(kind, generator)
    edge_index, info = knn_graph(x, 6, metric=metric, loop=loop, index="blocks", return_info=True)
    assert len(coded_tiles) == 1
    assert info.exact
    assert_exact(edge_index, x.double(), 6, metric, loop)
    assert torch.equal(edge_index, knn_graph(x, 6, metric=metric, loop=loop, index="gram"))


@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_of_coded_tiles_is_within_its_bound(
    kind: str, metric: str, generator: torch.Generator, coded_tiles: list[Codes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triangle, "SingleProducts", None)  # by codes alone
    rows = rows_of(features(kind, generator)[:150])
    space = Space(rows, METRICS[metric], block_bytes=1 << 20)
    slack = space.slack(space.norms, 2.0**-24)
    exact = scores_float64(rows.double(np.arange(len(space))), metric)
    score, slack_ = all_scores(space, list(triangle.triangle_shortlists(space, slack, len(space), 1 << 30)))
    assert_bounded(exact, score, slack_, tightest=3e-2)


@pytest.mark.parametrize("index", ["blocks", "gram"])
def test_rows_too_short_for_scales_in_float32_are_not_coded(
    index: str, generator: torch.Generator, coded: list[CodedGram], coded_tiles: list[Codes]
) -> None:
    x = features("positive", generator, 150).double()
    expected = knn_graph(x, 5)
    assert coded_tiles
    coded_tiles.clear()
    x[[3, 70]] *= 1e-60
    assert torch.equal(knn_graph(x, 5), expected)
    # What counts most is nothing, so that the mean is as short as the other weight.
    x[0] = 0
    user = torch.arange(140).repeat_interleave(2)
    item = torch.stack([torch.zeros(140, dtype=torch.long), torch.arange(4, 144)], dim=1).flatten()
    weight = torch.tensor([1.0, 2.0**-10], dtype=torch.float64).repeat(140)
    usual = user_knn_graph(x, torch.stack([user, item]), 140, 5, index=index, edge_weight=weight)
    coded_tiles.clear()
    coded.clear()
    weight[7] = 1e-60
    found = user_knn_graph(x, torch.stack([user, item]), 140, 5, index=index, edge_weight=weight)
    assert torch.equal(found, usual)
    assert not coded_tiles
    assert not coded


def test_users_by_coded_tiles_and_rows_that_codes_cannot_tell_apart(
    generator: torch.Generator, coded_tiles: list[Codes]
) -> None:
    x, pairs = features("positive", generator), interactions(400, 300, 1500)
    found = user_knn_graph(x, pairs, 400, 6, index="blocks")
    assert len(coded_tiles) == 1
    assert torch.equal(found, user_knn_graph(x, pairs, 400, 6, index="gram"))
    near = x[:1] + 1e-3 * x
    assert torch.equal(knn_graph(near, 5, index="blocks"), knn_graph(near, 5, index="gram"))
    assert len(coded_tiles) == 2
    assert len(knn_graph(near, 5, metric="l2", index="blocks")[0]) == 1500
    assert len(coded_tiles) == 2  # distances are not from codes


@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_coded_gram_matrix_serves_items_and_users(
    kind: str, metric: str, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = interactions(400, 300, 1500)
    data = HeteroData({"item": {"image": features(kind, generator)}, "user": {"num_nodes": 400}})
    data[USER_ITEM].edge_index = pairs
    expected = AddSimilarityGraphs(6, metric=metric)(data.clone())
    always(monkeypatch)
    monkeypatch.setattr(products, "gram", None)  # by codes alone
    made: list[FeatureRows] = []
    half = coded_gram_module._half
    monkeypatch.setattr(coded_gram_module, "_half", lambda *args: made.append(args) or half(*args))
    found = AddSimilarityGraphs(6, metric=metric)(data.clone())
    assert len(made) == 1
    for node in ("item", "user"):
        edge_type = node, "similar_image", node
        assert torch.equal(found[edge_type].edge_index, expected[edge_type].edge_index)


def test_a_share_without_users(generator: torch.Generator, coded: list[CodedGram]) -> None:
    user, item = interactions(20, 300, 60).numpy()
    rows = MeanRows(rows_of(features("normal", generator)), user, item, np.ones(len(user)), 20, block_bytes=1 << 20)
    how = How("cosine", "gram", torch.device("cpu"), 1 << 30, score_all=False, route=mean_route)
    found = find(rows, 3, how, loop=False, asked=np.arange(0))
    assert found.neighbors.index.shape == (0, 3)
    assert not coded


@pytest.mark.parametrize("weight", ["whole", "fractions", "heavy"])
def test_what_a_pair_counts(weight: str, generator: torch.Generator, coded: list[CodedGram]) -> None:
    x, pairs = features("positive", generator), interactions(200, 300, 900)
    counts = torch.randint(1, 5, (pairs.size(1),), generator=generator).double()
    counts *= {"whole": 1.0, "fractions": 1 / 3, "heavy": 1.0}[weight]
    if weight == "fractions":
        counts += 0.01 * torch.rand(len(counts), generator=generator)
    if weight == "heavy":  # 40,000 times the other one: their sum may overflow in float16
        counts[::3] = 40_000
    found = user_knn_graph(x, pairs, 200, 5, edge_weight=counts, index="gram")
    assert len(coded) == (weight == "whole")
    assert torch.equal(found, user_knn_graph(x, pairs, 200, 5, edge_weight=counts, index="blocks"))


def test_users_that_codes_cannot_tell_apart(generator: torch.Generator, coded: list[CodedGram]) -> None:
    # All lie on a line: differences within it are far below the steps of codes of what stands out of it.
    x = torch.linspace(1, 2, 300)[:, None] * torch.randn(96, generator=generator) + 30
    x += 1e-4 * torch.randn(300, 96, generator=generator)
    pairs = interactions(2000, 300, 4000)
    found = user_knn_graph(x, pairs, 2000, 5, index="gram")
    assert len(coded) == 1
    assert torch.equal(found, user_knn_graph(x, pairs, 2000, 5, index="blocks"))
