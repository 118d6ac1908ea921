"""The co-occurrence graph against set intersections."""

import numpy as np
import pytest
import torch

from drepm_pyg.graph import cooccurrence
from drepm_pyg.graph.cooccurrence import user_cooccurrence_graph


def reference(edge_index: torch.Tensor, num_users: int, k: int) -> list[tuple[int, int, int]]:
    items = [set(edge_index[1, edge_index[0] == user].tolist()) for user in range(num_users)]
    edges = []
    for center in range(num_users):
        shared = [(-len(items[center] & items[other]), other) for other in range(num_users) if other != center]
        edges += [(other, center, -count) for count, other in sorted(shared)[:k] if count < 0]
    return edges


@pytest.mark.parametrize("k", [1, 3, 50])
def test_matches_set_intersections(k: int, generator: torch.Generator) -> None:
    cells = torch.randperm(20 * 15, generator=generator)[:70]
    edge_index = torch.stack([cells // 15, cells % 15])
    graph, weight = user_cooccurrence_graph(edge_index, 22, 15, k)
    ours = [(*edge, int(count)) for edge, count in zip(graph.T.tolist(), weight.tolist(), strict=True)]
    assert ours == reference(edge_index, 22, k)


def test_the_cosine_divides_by_both_sizes() -> None:
    edge_index = torch.tensor([[0, 0, 0, 0, 1, 2, 2], [0, 1, 2, 3, 0, 0, 1]])  # user 0 has 4 items, 1 has 1, 2 has 2
    graph, weight = user_cooccurrence_graph(edge_index, 3, 4, 1, metric="cosine", shrink=0.5)
    assert graph.tolist() == [[2, 2, 0], [0, 1, 2]]
    torch.testing.assert_close(weight, torch.tensor([2 / (8**0.5 + 0.5), 1 / (2**0.5 + 0.5), 2 / (8**0.5 + 0.5)]))


@pytest.mark.parametrize(("metric", "expected"), [("count", 1.0), ("cosine", 0.5**0.5)])
def test_a_pair_that_occurs_twice_counts_once(metric: str, expected: float) -> None:
    edge_index = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]])  # I_0 = {0}, I_1 = {0, 1}
    graph, weight = user_cooccurrence_graph(edge_index, 2, 2, 1, metric=metric)
    assert graph.tolist() == [[1, 0], [0, 1]]
    torch.testing.assert_close(weight, torch.tensor([expected, expected]))


def test_users_who_share_nothing_have_no_edges() -> None:
    graph, weight = user_cooccurrence_graph(torch.tensor([[0, 1], [0, 1]]), 2, 2, 5)
    assert graph.shape == (2, 0)
    assert weight.shape == (0,)


@pytest.mark.errors
def test_an_unknown_user_is_named() -> None:
    with pytest.raises(ValueError, match=r"'edge_index\[0\]' must hold ids in \[0, 2\) for 2 users"):
        user_cooccurrence_graph(torch.tensor([[2], [0]]), 2, 2, 1)


@pytest.mark.errors
def test_counts_have_nothing_to_shrink() -> None:
    with pytest.raises(ValueError, match=r"'shrink' must be 0 for metric='count', .* \(got 1.0\)"):
        user_cooccurrence_graph(torch.tensor([[0, 1], [0, 0]]), 2, 2, 1, shrink=1.0)


@pytest.mark.errors
def test_numbers_of_nodes_are_counts() -> None:
    edges = torch.empty(2, 0, dtype=torch.long)
    for bad in ("10", 10.0):
        with pytest.raises(TypeError, match="'num_users' must be an integer"):
            user_cooccurrence_graph(edges, bad, 2, 1)
    with pytest.raises(ValueError, match=r"'num_items' must be at least 0 \(got -1\)"):
        user_cooccurrence_graph(edges, 2, -1, 1)


@pytest.mark.parametrize("swap", [False, True])
def test_equal_cosines_go_to_the_smaller_id(swap: bool) -> None:
    """1 / sqrt(107 * 1) is 3 / sqrt(107 * 9), which rounding tells apart."""
    small = torch.tensor([0])
    large = torch.tensor([0, 1, 2, *range(200, 206)])
    items = [torch.arange(107), large if swap else small, small if swap else large]
    pairs = torch.stack(
        [torch.repeat_interleave(torch.arange(3), torch.tensor([len(i) for i in items])), torch.cat(items)]
    )
    edge_index, weight = user_cooccurrence_graph(pairs, 3, 206, 2, metric="cosine")
    assert edge_index[0, edge_index[1] == 0].tolist() == [1, 2]
    torch.testing.assert_close(weight[edge_index[1] == 0], torch.full((2,), 107**-0.5))


@pytest.mark.parametrize(("metric", "shrink"), [("count", 0.0), ("cosine", 0.0), ("cosine", 2.0)])
@pytest.mark.parametrize("dense", [0.0, 2.0])
def test_blocks_and_tables_change_nothing(
    metric: str, shrink: float, dense: float, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    pairs = torch.stack(
        [torch.randint(60, (500,), generator=generator), torch.randint(40, (500,), generator=generator)]
    )
    whole = user_cooccurrence_graph(pairs, 60, 40, 5, metric=metric, shrink=shrink)
    for name, value in (("_ADDITIONS", 50), ("_ENTRIES", 70), ("_DENSE", dense)):
        monkeypatch.setattr(cooccurrence, name, value)
    blocks = user_cooccurrence_graph(pairs, 60, 40, 5, metric=metric, shrink=shrink)
    assert torch.equal(whole[0], blocks[0])
    assert torch.equal(whole[1], blocks[1])


@pytest.mark.errors
def test_numpy_s_narrow_integers_are_numbers(generator: torch.Generator) -> None:
    edge_index = torch.randint(0, 300, (2, 3000), generator=generator)
    for size in (300, np.int16(300)):
        graph, _ = user_cooccurrence_graph(edge_index, size, size, np.uint8(255))
        assert torch.equal(graph, user_cooccurrence_graph(edge_index, 300, 300, 255)[0])
