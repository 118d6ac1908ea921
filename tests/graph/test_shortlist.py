"""The fast half of a search keeps its promises: the largest entries, and a bound on every error."""

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from drepm_pyg.graph.features import present
from drepm_pyg.graph.find import How, find
from drepm_pyg.graph.mean_products import mean_route
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.products import gram, gram_blocks, unit_roundoff
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.search import rank
from drepm_pyg.graph.shortlist import Shortlist, largest, shortlists
from drepm_pyg.graph.space import Space
from tests.graph.dense_reference import scores_float64

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_rows", [1, 63, 64, 700, 3001])
@pytest.mark.parametrize("count", [1, 5])
def test_largest_is_topk(num_rows: int, count: int, generator: torch.Generator) -> None:
    scores = torch.randn(num_rows, 11, generator=generator)
    count = min(count, num_rows)
    values, index = largest(scores, count)
    expected = scores.topk(count, dim=0)
    assert torch.equal(values, expected.values.T)
    assert torch.equal(index, expected.indices.T)


def test_largest_takes_a_view_of_columns(generator: torch.Generator) -> None:
    scores = torch.randn(2000, 50, generator=generator)
    assert torch.equal(largest(scores[:, 20:30], 4)[1], scores[:, 20:30].topk(4, dim=0).indices.T)


def test_gram_is_all_inner_products(generator: torch.Generator) -> None:
    y = torch.randn(5001, 6, generator=generator)
    torch.testing.assert_close(gram(y), y @ y.T)


def all_scores(space: Space, lists: list[Shortlist]) -> tuple[np.ndarray, np.ndarray]:
    score, slack = np.empty((len(space), len(space))), np.empty((len(space), len(space)))
    for part in lists:
        rows = np.arange(part.block.start, part.block.stop)[:, None]
        score[rows, part.index], slack[rows, part.index] = part.score, part.slack
    return score, slack


def assert_bounded(exact: np.ndarray, score: np.ndarray, slack: np.ndarray, tightest: float) -> None:
    assert (np.abs(score - exact) <= slack).all()
    assert slack.min() <= tightest * np.abs(exact).max()


# Constant rows are the worst case of a running sum: every rounding goes the same way.
@pytest.mark.parametrize("kind", ["normal", "positive", "constant", "wide"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_error_of_fast_scores_is_within_its_bound(metric: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 2000)).astype(np.float32)
    if kind == "positive":
        x = np.abs(x)
    if kind == "constant":
        x = (0.1 + 0.01 * rng.random((120, 1)) + 1e-6 * x).astype(np.float32)
    if kind == "wide":
        x *= np.exp(3 * rng.standard_normal((120, 1))).astype(np.float32)
    rows = FeatureRows({"x": x}, np.arange(120), block_bytes=1 << 20)
    space = Space(rows, METRICS[metric], block_bytes=1 << 20)
    matrix, factor = space.factors(CPU)
    slack = space.slack(space.norms, unit_roundoff(CPU))
    lists = list(shortlists(gram_blocks(gram(matrix), factor), space, slack, len(space)))
    exact = scores_float64(rows.double(np.arange(120)), metric)
    assert_bounded(exact, *all_scores(space, lists), tightest=1e-3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["normal", "positive", "far apart"])
def test_the_error_of_users_scores_is_within_its_bound(metric: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 500)).astype(np.float32)
    if kind == "positive":
        x = np.abs(x)
    if kind == "far apart":  # products of the short rows vanish in float32, if they are not scaled one by one
        x[::2] *= 1e-26
    items = FeatureRows({"x": x}, np.arange(80), block_bytes=1 << 20)
    user, item = np.repeat(np.arange(60), 9), rng.integers(0, 80, 540)
    rows = MeanRows(items, user, item, np.ones(540), 60, block_bytes=1 << 20)
    space = Space(rows, METRICS[metric], block_bytes=1 << 20)
    how = How(metric, "gram", CPU, 1 << 30, score_all=False, route=mean_route)
    name, lists = mean_route(space, how, len(space))
    assert name == "gram"
    exact = scores_float64(rows.double(np.arange(len(space))), metric)
    assert_bounded(exact, *all_scores(space, list(lists)), tightest=1e-2)


def test_the_worst_case_bounds_sums_whose_roundings_go_the_same_way() -> None:
    rng = np.random.default_rng(0)
    x = (1 / 3 + 1e-3 * rng.standard_normal((300, 1000))).astype(np.float32)
    user = np.repeat(np.arange(60), 200)
    items = FeatureRows({"x": x}, np.arange(300), block_bytes=1 << 20)
    rows = MeanRows(items, user, rng.integers(300, size=len(user)), np.ones(len(user)), 60, block_bytes=1 << 20)
    space = Space(rows, METRICS["cosine"], block_bytes=1 << 20)
    how = How("cosine", "gram", CPU, 1 << 29, False, mean_route)
    exact = scores_float64(rows.double(np.arange(60)), "cosine")
    slacks = []
    for bounded in (space, space.bounded_by_worst_case()):
        score, slack = all_scores(bounded, list(mean_route(bounded, how, len(space))[1]))
        slacks.append(slack)
    assert (np.abs(score - exact) <= slack).all()
    assert (slacks[1] > 5 * slacks[0]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_longer_lists_for_the_few_whose_best_are_left_open(metric: str, generator: torch.Generator) -> None:
    x = torch.randn(600, 80, generator=generator)
    x[:40] = x[0] + 1e-7 * x[:40]  # near ties of more rows than are listed at first
    space = Space(FeatureRows({"x": x}, np.arange(600), block_bytes=1 << 20), METRICS[metric], block_bytes=1 << 20)
    matrix, factor = space.factors(CPU)
    slack = space.slack(space.norms, unit_roundoff(CPU))
    (part,) = shortlists(gram_blocks(gram(matrix), factor), space, slack, 5, 6)
    listed = (part.score > -np.inf).sum(axis=1)
    assert (listed[:40] == 48).all()
    assert (listed == 6).sum() > 500  # but for those whose nearest are among the near ties
    assert not part.undecided(5).any()
    ranking = rank(space, [part], 5, score_all=True, budget=1 << 20)
    assert ranking.searched_again == 0
    exact = scores_float64(space.rows.double(np.arange(600)), metric)
    np.testing.assert_allclose(ranking.score, -np.sort(-exact, axis=1)[:, :5], atol=1e-12)


def scores_with_errors(error: float, bound: float, worst_case: float) -> How:
    """A search by products whose rounding errors are ``error``; ``bound`` is what is expected of them."""

    def route(space: Space, how: How, count: int) -> tuple[str, Iterable[Shortlist]]:
        matrix, factor = space.factors(CPU)
        rounded = torch.Generator().manual_seed(0)
        blocks = (
            (block, scores + error * torch.randn(scores.shape, generator=rounded).sign())
            for block, scores in gram_blocks(gram(matrix), factor)
        )
        slack = np.full(len(space), (worst_case if space.worst_case else bound) ** 0.5)
        return "gram", shortlists(blocks, space, (slack, slack), count)

    return How("ip", "gram", CPU, 1 << 29, False, route)


def test_rank_tells_how_much_of_their_bound_errors_take(generator: torch.Generator) -> None:
    x = torch.randn(200, 8, generator=generator)
    space = Space(FeatureRows({"x": x}, np.arange(200), block_bytes=1 << 20), METRICS["ip"], block_bytes=1 << 20)
    how = scores_with_errors(error=1e-3, bound=4e-3, worst_case=4e-3)
    ranking = rank(space, how.route(space, how, 30)[1], 10, score_all=False, budget=1 << 20)
    assert ranking.rescored > 0
    assert ranking.strain == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize(("bound", "again"), [(5e-3, False), (1.5e-3, True)])
def test_larger_errors_than_expected_are_found_and_the_search_repeated(
    bound: float, again: bool, generator: torch.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    x = torch.randn(500, 65, generator=generator) / 3  # narrower rows are bounded by the worst case anyway
    rows = FeatureRows({"x": x}, present(500, None), block_bytes=1 << 20)
    found = find(rows, 10, scores_with_errors(error=1e-3, bound=bound, worst_case=1e-2), loop=False)
    score = scores_float64(x.double().numpy(), "ip")
    np.fill_diagonal(score, -np.inf)
    assert np.array_equal(found.neighbors.index, np.argsort(-score, axis=1, kind="stable")[:, :10])
    assert ("searched again by the worst case" in caplog.text) == again


@pytest.mark.parametrize("kind", ["as given", "float64", "transposed", "read-only", "far apart", "twice the same"])
@pytest.mark.parametrize("metric", METRICS)
def test_factors_make_prepared_rows(metric: str, kind: str) -> None:
    x = 5 * np.random.default_rng(0).standard_normal((30, 30)).astype(np.float32)
    if kind == "float64":
        x = x.astype(np.float64)
    if kind == "transposed":
        x = x.T
    if kind == "read-only":
        x.flags.writeable = False
    if kind == "far apart":
        x[::2] *= 1e-26
    if kind == "twice the same":
        x[7] = x[3]
    before = x.copy()
    space = Space(FeatureRows({"x": x}, np.arange(30), block_bytes=1 << 16), METRICS[metric], block_bytes=1 << 16)
    matrix, factor = space.factors(CPU)
    prepared = space.prepared(np.arange(len(space)))
    np.testing.assert_allclose(factor[:, None] * matrix.numpy(), prepared, rtol=1e-6, atol=1e-30)
    assert np.shares_memory(matrix.numpy(), x) == (kind == "as given" and metric != "l2")
    assert np.array_equal(x, before)


def test_round_off_off_the_cpu_is_found_by_multiplying(monkeypatch: pytest.MonkeyPatch) -> None:
    other = torch.device("meta")
    monkeypatch.setattr(torch, "full", lambda size, value, device: torch.ones(size) * value)
    monkeypatch.setattr(torch, "eye", lambda n, device: torch.diag(torch.ones(n)))
    assert unit_roundoff(other) == 2**-24
    # As a device does that rounds the factors to TF32, which has 10 bits behind the 1.
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: (a * 2**10).round() / 2**10)
    assert unit_roundoff(other) == 2**-8
    assert unit_roundoff(CPU) == 2**-24
