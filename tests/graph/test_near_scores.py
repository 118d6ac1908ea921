"""Scores of pairs from float32 sums of few columns: within their bounds, and what they decide is decided exactly."""

import numpy as np
import pytest
import torch

from drepm_pyg.graph import knn_graph, near_scores, search, user_knn_graph
from drepm_pyg.graph.codes import codes_multiply
from drepm_pyg.graph.features import Features
from drepm_pyg.graph.inner import pair_products
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.near_scores import NearScores
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.space import Space
from tests.graph.dense_reference import assert_exact, scores_float64
from tests.graph.test_codes import always, features
from tests.graph.test_user_knn import interactions, mean_features

WIDTH = 200  # three panels and a part of one


def item_rows(x: Features, **parts: Features) -> FeatureRows:
    parts = {"x": x, **parts}
    return FeatureRows(parts, np.arange(sum(map(len, parts.values()))), block_bytes=1 << 20)


def user_rows(items: FeatureRows, weights: str, generator: torch.Generator) -> MeanRows:
    user, item = interactions(100, len(items.ties.members), 700).numpy()
    weight = torch.rand(len(user), generator=generator, dtype=torch.float64).numpy()
    weight = {"one": np.ones(len(user)), "of any size": weight, "far apart": weight**30}[weights]
    return MeanRows(items, user, item, weight, 100, block_bytes=1 << 20)


def space_of(rows: FeatureRows | MeanRows, metric: str = "cosine", *, block_bytes: int = 1 << 20) -> Space:
    return Space(rows, METRICS[metric], block_bytes=block_bytes)


def every_pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.divmod(np.arange(size**2), size)


def assert_within_bounds(space: Space) -> None:
    near, (left, right) = NearScores(space), every_pair(len(space))
    assert near.serve
    found, bound, exact = near.of(left, right), near.errors(left, right), space.score(left, right)
    told = np.isfinite(bound)
    assert (np.abs(found - exact)[told] <= bound[told]).all()


def told_share(space: Space) -> float:
    """The pairs whose bound is small beside the largest score."""
    bound = NearScores(space).errors(*every_pair(len(space)))
    return float((bound < 1e-4 * space.norms.max() ** 2).mean())


@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
class TestErrorsAreBounded:
    @pytest.mark.parametrize("kind", ["normal", "positive", "far from 0", "of all lengths", "few values"])
    def test_of_items(self, kind: str, dtype: torch.dtype, metric: str, generator: torch.Generator) -> None:
        space = space_of(item_rows(features(kind, generator, 100, WIDTH).to(dtype)), metric)
        assert_within_bounds(space)
        assert told_share(space) == 1

    @pytest.mark.parametrize("weights", ["one", "of any size", "far apart"])
    def test_of_users(self, weights: str, dtype: torch.dtype, metric: str, generator: torch.Generator) -> None:
        items = item_rows(features("normal", generator, 60, WIDTH).to(dtype))
        space = space_of(user_rows(items, weights, generator), metric)
        assert_within_bounds(space)
        assert told_share(space) > 0.99


def test_sums_that_cancel_are_not_decided(generator: torch.Generator) -> None:
    x = torch.randn(30, WIDTH, generator=generator)
    items = item_rows(torch.cat([x, -x * (1 + 1e-5 * (1 + torch.rand(30, 1, generator=generator)))]))
    user = np.repeat(np.arange(30), 2)
    item = np.stack([np.arange(30), np.arange(30, 60)], axis=1).ravel()
    space = space_of(MeanRows(items, user, item, np.ones(60), 30, block_bytes=1 << 20))
    assert_within_bounds(space)
    assert told_share(space) == 0


@pytest.mark.parametrize("scale", [1e-25, 1e-160])
def test_rows_whose_entries_vanish_in_float32_are_not_decided(scale: float, generator: torch.Generator) -> None:
    x = torch.randn(40, WIDTH, generator=generator, dtype=torch.float64)
    x[::2] *= scale
    space = space_of(item_rows(x))
    assert_within_bounds(space)
    assert told_share(space) == pytest.approx(0.25)
    items = item_rows(torch.cat([torch.zeros(1, WIDTH), x]))
    everyone = np.repeat(np.arange(40), 2)
    item = np.stack([np.zeros(40, np.int64), np.arange(1, 41)], axis=1).ravel()  # what counts most is nothing
    weight = np.tile([1.0, 1e-20], 40)
    space = space_of(MeanRows(items, everyone, item, weight, 40, block_bytes=1 << 20))
    assert_within_bounds(space)
    assert told_share(space) == 0


@pytest.mark.parametrize("exponent", [-140, -50, 100, 900])
def test_features_of_any_magnitude(exponent: int, generator: torch.Generator) -> None:
    x = torch.randn(40, WIDTH, generator=generator, dtype=torch.float64) * 2.0**exponent
    for dtype in (torch.float64, torch.float32) if abs(exponent) < 125 else (torch.float64,):
        space = space_of(item_rows(x.to(dtype)))
        assert_within_bounds(space)
        assert told_share(space) == 1


def test_zero_rows_have_the_score_0(generator: torch.Generator) -> None:
    x = torch.randn(20, WIDTH, generator=generator)
    x[3] = 0
    near = NearScores(space_of(item_rows(x)))
    left, right = np.full(20, 3), np.arange(20)
    assert (near.of(left, right) == 0).all()
    assert (near.errors(left, right) == 0).all()


def test_rows_of_several_matrices_and_equal_ones(generator: torch.Generator) -> None:
    x = torch.randn(30, WIDTH, generator=generator)
    x[10] = x[5]
    rows = item_rows(x, y=torch.randn(20, WIDTH, generator=generator).half().numpy())
    assert len(rows.ties) == 49
    assert_within_bounds(space_of(rows))


def test_pairs_in_any_order(generator: torch.Generator) -> None:
    space = space_of(item_rows(torch.randn(30, WIDTH, generator=generator)))
    near, (left, right) = NearScores(space), every_pair(30)
    order = torch.randperm(900, generator=generator).numpy()
    assert np.array_equal(near.of(left[order], right[order]), near.of(left, right)[order])
    assert np.array_equal(near.of(right, left), near.of(left, right))


def test_distances_and_rows_that_memory_does_not_hold_are_left_to_exact_scores(generator: torch.Generator) -> None:
    rows = item_rows(torch.randn(500, WIDTH, generator=generator))
    assert NearScores(space_of(rows)).serve
    assert not NearScores(space_of(rows, "l2")).serve
    assert not NearScores(space_of(rows, block_bytes=500 * 15)).serve
    assert NearScores(space_of(rows, block_bytes=500 * 16)).serve


@pytest.mark.parametrize("near", [7, 1 << 14])
def test_products_of_pairs(near: int, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.graph.inner._NEAR", near)
    x = torch.randint(-9, 9, (40, WIDTH), generator=generator).float()
    left, right = every_pair(40)
    panels = [slice(0, 64), slice(64, WIDTH)]
    found = pair_products(left, right, 40, lambda panel: x[:, panel].contiguous(), panels)
    assert np.array_equal(found, (x.double() @ x.double().T).flatten().numpy())  # of whole numbers, so exact


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Codes and near scores whatever the size; how many pairs these scored, call by call."""
    if not codes_multiply():
        pytest.skip("this CPU's 8-bit products are not exact")
    always(monkeypatch)
    numbers: list[int] = []
    plain = NearScores.of

    def counted(self: NearScores, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        numbers.append(len(left))
        return plain(self, left, right)

    monkeypatch.setattr(NearScores, "of", counted)
    return numbers


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("kind", ["normal", "positive", "clustered", "of all lengths", "few values"])
class TestGraphs:
    def test_of_items(
        self, kind: str, metric: str, weights: bool, scored: list[int], generator: torch.Generator
    ) -> None:
        x = features(kind, generator, 400, WIDTH)
        graph, *weight, info = knn_graph(x, 5, metric=metric, return_weight=weights, return_info=True)
        assert info.rescored <= scored[0]
        assert_exact(graph, x, 5, metric)
        for found in weight:
            expected = torch.from_numpy(scores_float64(x, metric))[graph[1], graph[0]]
            torch.testing.assert_close(found, expected.float())

    def test_of_users(
        self, kind: str, metric: str, weights: bool, scored: list[int], generator: torch.Generator
    ) -> None:
        x, bought = features(kind, generator, 300, WIDTH), interactions(200, 300, 900)
        graph = user_knn_graph(x, bought, 200, 5, metric=metric, index="gram", return_weight=weights)
        assert scored
        graph = graph[0] if weights else graph
        assert_exact(graph, mean_features(x, bought, 200)[0], 5, metric)


def test_few_open_pairs_are_scored_exactly_at_once(
    scored: list[int], generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = features("normal", generator, 400, WIDTH)
    many = knn_graph(x, 5)
    assert scored
    scored.clear()
    monkeypatch.setattr(search, "_OPEN", 1000)
    assert torch.equal(knn_graph(x, 5), many)
    assert not scored


def test_near_scores_that_are_hardly_nearer_are_not_computed(
    scored: list[int], generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_scores, "_UNIT", 2.0**-10)
    x = features("normal", generator, 400, WIDTH)
    assert_exact(knn_graph(x, 5), x, 5)
    assert not scored
