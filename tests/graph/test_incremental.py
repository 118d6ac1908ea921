"""A graph that grew or shrank is the graph that a rebuild would give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drepm_pyg.graph import extend_knn_graph, find, knn_graph, remove_nodes

METRICS = ("cosine", "ip", "l2")


def rows(seed: int, count: int) -> torch.Tensor:
    # Few distinct rows: duplicates and ties among old, among new, and between them.
    return torch.randint(-2, 3, (count, 3), generator=torch.Generator().manual_seed(seed)).float()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METRICS), st.booleans(), st.integers(6, 39), st.integers(1, 5))
def test_extending_is_rebuilding(seed: int, metric: str, loop: bool, old: int, k: int) -> None:
    x = rows(seed, 40)
    mask = torch.rand(40, generator=torch.Generator().manual_seed(seed)) > 0.1
    mask[:6] = True  # so many must be there for the old graph
    before = knn_graph(x[:old], k, metric=metric, loop=loop, mask=mask[:old])
    after = extend_knn_graph(
        before, x[:old], x[old:], k, metric=metric, loop=loop, mask_old=mask[:old], mask_new=mask[old:]
    )
    assert torch.equal(after, knn_graph(x, k, metric=metric, loop=loop, mask=mask))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METRICS), st.booleans(), st.integers(1, 5))
def test_removing_is_rebuilding_without(seed: int, metric: str, loop: bool, k: int) -> None:
    x, rng = rows(seed, 40), torch.Generator().manual_seed(seed)
    mask, keep = torch.rand(40, generator=rng) > 0.1, torch.rand(40, generator=rng) > 0.3
    keep[:6] = mask[:6] = True
    before = knn_graph(x, k, metric=metric, loop=loop, mask=mask)
    after = remove_nodes(before, x, keep, k, metric=metric, loop=loop, mask=mask)
    assert torch.equal(after, knn_graph(x, k, metric=metric, loop=loop, mask=mask & keep))


@pytest.mark.parametrize("metric", METRICS)
def test_new_rows_of_another_magnitude(metric: str, generator: torch.Generator) -> None:
    x = torch.randn(200, 16, generator=generator)
    x[150:] *= 1e4
    before = knn_graph(x[:150], 5, metric=metric)
    assert torch.equal(extend_knn_graph(before, x[:150], x[150:], 5, metric=metric), knn_graph(x, 5, metric=metric))


def test_extending_step_by_step(generator: torch.Generator) -> None:
    x = torch.randn(60, 8, generator=generator)
    graph = knn_graph(x[:10], 4)
    for size in range(10, 60, 10):
        graph = extend_knn_graph(graph, x[:size], x[size : size + 10], 4)
    assert torch.equal(graph, knn_graph(x, 4))


def test_nothing_new_and_nothing_gone(generator: torch.Generator) -> None:
    x = torch.randn(20, 4, generator=generator)
    graph = knn_graph(x, 3)
    assert torch.equal(extend_knn_graph(graph, x, x[:0], 3), graph)
    assert torch.equal(remove_nodes(graph, x, torch.ones(20, dtype=torch.bool), 3), graph)
    assert torch.equal(extend_knn_graph(torch.zeros(2, 0, dtype=torch.long), x[:0], x, 3), graph)


def test_it_is_exact_however_large(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(600, 8, generator=generator)
    keep = torch.arange(600) % 5 != 0
    whole, part = knn_graph(x, 5), knn_graph(x[:500], 5)
    rest = knn_graph(x, 5, mask=keep)
    monkeypatch.setattr(find, "_EXACT_WORK", 1.0)  # all that 'auto' would still do exactly
    assert torch.equal(extend_knn_graph(part, x[:500], x[500:], 5), whole)
    assert torch.equal(remove_nodes(whole, x, keep, 5), rest)
    assert torch.equal(knn_graph(x, 5, index="exact"), whole)


@pytest.mark.errors
class TestErrors:
    def test_another_k(self, generator: torch.Generator) -> None:
        x = torch.randn(20, 4, generator=generator)
        with pytest.raises(ValueError, match=r"must hold 4 edges for each of 20 rows, .* \(got 60 edges\)"):
            extend_knn_graph(knn_graph(x, 3), x, x, 4)

    def test_another_loop(self, generator: torch.Generator) -> None:
        x = torch.randn(20, 4, generator=generator)
        with pytest.raises(ValueError, match="'loop' must be what 'edge_index' was built with"):
            extend_knn_graph(knn_graph(x, 3), x, x, 3, loop=True)
        with pytest.raises(ValueError, match="'loop' must be what 'edge_index' was built with"):
            remove_nodes(knn_graph(x, 3, loop=True), x, torch.ones(20, dtype=torch.bool), 3)

    def test_a_graph_that_was_changed(self, generator: torch.Generator) -> None:
        x, mask = torch.randn(20, 4, generator=generator), torch.arange(20) != 5
        every = torch.ones(20, dtype=torch.bool)
        graph = knn_graph(x, 3)
        masked_neighbour = graph[:, graph[1] != 5]
        twice = graph.clone()
        twice[0, 0] = twice[0, 1]
        itself = knn_graph(x, 3, loop=True)
        itself[:, :3] = graph[:, :3]
        for call in (
            lambda bad, mask, loop: extend_knn_graph(bad, x, x, 3, mask_old=mask, loop=loop),
            lambda bad, mask, loop: remove_nodes(bad, x, every, 3, mask=mask, loop=loop),
        ):
            with pytest.raises(ValueError, match=r"among the rows that the mask leaves \(got the neighbours \[5\]"):
                call(masked_neighbour, mask, False)
            with pytest.raises(ValueError, match=r"3 distinct neighbours of each row, .* \(rows \[0\] have one twice"):
                call(twice, None, False)
            for loop in (True, False):
                with pytest.raises(ValueError, match="'loop' must be what 'edge_index' was built with"):
                    call(itself, None, loop)

    def test_too_few_stay(self, generator: torch.Generator) -> None:
        x = torch.randn(20, 4, generator=generator)
        with pytest.raises(ValueError, match=r"'k' must be at most the number of other rows, 2 \(got k=3"):
            remove_nodes(knn_graph(x, 3), x, torch.arange(20) < 3, 3)

    def test_what_stays_must_be_said(self, generator: torch.Generator) -> None:
        x = torch.randn(20, 4, generator=generator)
        with pytest.raises(TypeError, match=r"'keep' must be boolean, False where a row leaves \(got None\)"):
            remove_nodes(knn_graph(x, 3), x, None, 3)

    def test_loop_is_a_flag(self, generator: torch.Generator) -> None:
        x = torch.randn(20, 4, generator=generator)
        with pytest.raises(TypeError, match=r"'loop' must be True or False \(got 'y'\)"):
            extend_knn_graph(knn_graph(x, 3), x, x, 3, loop="y")
        with pytest.raises(TypeError, match=r"'loop' must be True or False \(got 'y'\)"):
            remove_nodes(knn_graph(x, 3), x, torch.arange(20) > 3, 3, loop="y")

    def test_a_mask_of_numbers(self, generator: torch.Generator) -> None:
        x = torch.randn(20, 4, generator=generator)
        with pytest.raises(TypeError, match="'keep' must be boolean"):
            remove_nodes(knn_graph(x, 3), x, torch.ones(20), 3)
