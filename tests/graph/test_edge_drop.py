"""Degree-sensitive edge sampling against its law."""

import pytest
import torch

from drepm_pyg.graph.edge_drop import degree_sensitive_edge_drop

STAR = torch.tensor([[0, 1, 2, 3, 0], [0, 0, 0, 0, 1]])  # item 0 is popular, item 1 is rare


def test_the_kept_share_is_the_floor_and_the_order_stays(generator: torch.Generator) -> None:
    edge_index = torch.stack([torch.arange(100) % 10, torch.arange(100) // 10])
    kept = degree_sensitive_edge_drop(edge_index, 0.85, generator=generator)
    assert kept.size(1) == 15
    keys = kept[0] + 10 * kept[1]
    assert torch.equal(keys, keys.sort().values)
    assert len(keys.unique()) == 15


def test_one_kept_edge_follows_the_probabilities(generator: torch.Generator) -> None:
    weight = 1 / torch.tensor([2 * 4.0, 1 * 4.0, 1 * 4.0, 1 * 4.0, 2 * 1.0]).sqrt()
    counts = torch.zeros(5)
    for _ in range(4000):
        user, item = degree_sensitive_edge_drop(STAR, 0.75, generator=generator).flatten().tolist()
        counts[4 if item == 1 else user] += 1
    torch.testing.assert_close(counts / 4000, weight / weight.sum(), atol=0.03, rtol=0)


def test_same_generator_same_edges() -> None:
    draws = [degree_sensitive_edge_drop(STAR, 0.4, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws)


def test_nothing_to_drop_gives_the_edges_back() -> None:
    assert torch.equal(degree_sensitive_edge_drop(STAR, 0.0), STAR)
    assert degree_sensitive_edge_drop(STAR[:, :0], 0.5).size(1) == 0


@pytest.mark.errors
def test_a_ratio_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'ratio' must lie in \[0, 1\) \(got 1.0\)"):
        degree_sensitive_edge_drop(STAR, 1.0)


@pytest.mark.errors
def test_a_negative_id_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'edge_index' must hold ids of at least 0 \(got -1\)"):
        degree_sensitive_edge_drop(torch.tensor([[0, -1], [1, 2]]), 0.5)


@pytest.mark.errors
@pytest.mark.parametrize("ratio", [0.5, 0.0])
def test_a_seed_is_no_generator(ratio: float) -> None:
    with pytest.raises(TypeError, match=r"'generator' must be a torch.Generator \(got 3, a int\)"):
        degree_sensitive_edge_drop(STAR, ratio, generator=3)
