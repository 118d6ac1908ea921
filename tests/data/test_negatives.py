"""Negatives are uniform, never a training item, and drawn from the candidates alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drepm_pyg.data import NegativeSampler, sample_negatives

EDGES = torch.tensor([[0, 0, 0, 1, 3, 3, 3, 3], [5, 1, 2, 0, 0, 1, 2, 6]])  # user 2 has none; items 3 and 4 never occur
NUM_ITEMS = 7


def allowed(user: int, candidates: list[int]) -> set[int]:
    return set(candidates) - set(EDGES[1, EDGES[0] == user].tolist())


@pytest.mark.parametrize("candidates", [None, [0, 1, 2, 3, 4, 5, 6], [6, 4, 2, 4], [3, 4]])
@pytest.mark.parametrize("user", [0, 1, 2, 3, 9])
def test_draws_are_uniform_over_the_free_candidates(
    user: int, candidates: list[int] | None, generator: torch.Generator
) -> None:
    draws = 20_000
    items = sample_negatives(
        torch.full((draws,), user),
        EDGES,
        NUM_ITEMS,
        candidates=None if candidates is None else torch.tensor(candidates),
        generator=generator,
    )
    free = sorted(allowed(user, [0, 1, 2, 5, 6] if candidates is None else candidates))
    count = torch.bincount(items, minlength=NUM_ITEMS).double()
    assert count.nonzero().flatten().tolist() == free
    expected = draws / len(free)
    chi_square = ((count[free] - expected) ** 2 / expected).sum()
    assert chi_square < 27  # 99.98th percentile for 6 degrees of freedom, the most there are here


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=40),
    st.lists(st.integers(0, 8), min_size=1, max_size=12),
    st.lists(st.integers(0, 7), min_size=1, max_size=20),
)
def test_no_draw_is_a_training_item_whatever_the_graph(
    pairs: list[tuple[int, int]], candidates: list[int], users: list[int]
) -> None:
    edge_index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    free = {user: set(candidates) - {item for owner, item in pairs if owner == user} for user in users}
    sampler = NegativeSampler(edge_index, 9, torch.tensor(candidates))
    open_users = torch.tensor([user for user in users if free[user]], dtype=torch.long)
    items = sampler.sample(open_users)
    assert all(item in free[user] for user, item in zip(open_users.tolist(), items.tolist(), strict=True))
    if len(open_users) < len(users):
        with pytest.raises(ValueError, match="interacted with all"):
            sampler.sample(torch.tensor(users))


def test_the_order_of_users_is_kept(generator: torch.Generator) -> None:
    user = torch.tensor([3, 0, 3, 1, 0, 2] * 50)
    items = sample_negatives(user, EDGES, NUM_ITEMS, generator=generator)
    assert all(
        item in allowed(owner, [0, 1, 2, 5, 6]) for owner, item in zip(user.tolist(), items.tolist(), strict=True)
    )


def test_equal_generators_draw_equal_items() -> None:
    user = torch.arange(3).repeat(30)
    one, other = (
        sample_negatives(user, EDGES, NUM_ITEMS, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(one, other)


def test_blocks_draw_what_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    edge_index = torch.stack([torch.randint(20, (90,)), torch.randint(30, (90,))])
    sampler, user = NegativeSampler(edge_index, num_items=30), torch.randint(25, (500,))
    expected = sampler.sample(user, torch.Generator().manual_seed(4))
    monkeypatch.setattr("drepm_pyg.data.negatives._BLOCK", 7)
    assert torch.equal(sampler.sample(user, torch.Generator().manual_seed(4)), expected)


def test_duplicate_and_shuffled_pairs_change_nothing() -> None:
    user = torch.arange(4).repeat(30)
    doubled = torch.cat([EDGES, EDGES], dim=1)[:, torch.randperm(2 * EDGES.size(1))]
    one, other = (
        sample_negatives(user, edges, NUM_ITEMS, generator=torch.Generator().manual_seed(5))
        for edges in (EDGES, doubled)
    )
    assert torch.equal(one, other)


def test_a_changed_edge_index_is_noticed(generator: torch.Generator) -> None:
    edge_index = torch.tensor([[0, 0], [0, 1]])
    user = torch.zeros(50, dtype=torch.long)
    candidates_seen = sample_negatives(torch.tensor([1] * 50), edge_index, 3, generator=generator)
    assert set(candidates_seen.tolist()) == {0, 1}
    edge_index[1, 0] = 2  # in place: the same tensor object
    edge_index[0, 1] = 1
    assert set(sample_negatives(user, edge_index, 3, generator=generator).tolist()) == {1}


def test_users_who_have_all_but_one_item_get_it(generator: torch.Generator) -> None:
    num_items = 1000
    edge_index = torch.stack([torch.zeros(num_items - 1, dtype=torch.long), torch.randperm(num_items)[1:]])
    missing = set(range(num_items)) - set(edge_index[1].tolist())
    sampler = NegativeSampler(edge_index, num_items, torch.arange(num_items))
    assert set(sampler.sample(torch.zeros(500, dtype=torch.long), generator).tolist()) == missing


def test_no_users_no_items() -> None:
    assert sample_negatives(torch.empty(0, dtype=torch.long), EDGES, NUM_ITEMS).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_candidates_may_be_integers_of_any_type(dtype: torch.dtype) -> None:
    drawn = sample_negatives(torch.tensor([0, 1]), EDGES, NUM_ITEMS, candidates=torch.tensor([6, 6], dtype=dtype))
    assert drawn.dtype == torch.long
    assert drawn.tolist() == [6, 6]


def test_inference_tensors_are_taken() -> None:
    with torch.inference_mode():
        edge_index = EDGES.clone()
        assert sample_negatives(torch.tensor([0]), edge_index, NUM_ITEMS).item() in {0, 6}


@pytest.mark.errors
def test_a_user_with_every_candidate_is_named() -> None:
    edge_index = torch.tensor([[0, 4, 4], [0, 0, 1]])
    with pytest.raises(ValueError, match=r"'user' names 1 users who have interacted with all 2 candidates.*\[4\]"):
        sample_negatives(torch.tensor([0, 4, 4]), edge_index, 2)


@pytest.mark.errors
def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"'edge_index\[1\]' must hold ids in \[0, 6\)"):
        sample_negatives(torch.tensor([0]), EDGES, 6)
    with pytest.raises(ValueError, match=r"'edge_index\[0\]' must hold ids of at least 0 \(got -1\)"):
        sample_negatives(torch.tensor([0]), torch.tensor([[0, -1], [1, 2]]), NUM_ITEMS)
    with pytest.raises(ValueError, match=r"'candidates' must hold ids in \[0, 7\)"):
        sample_negatives(torch.tensor([0]), EDGES, NUM_ITEMS, candidates=torch.tensor([7]))
    with pytest.raises(ValueError, match="no candidate"):
        sample_negatives(torch.tensor([0]), EDGES, NUM_ITEMS, candidates=torch.empty(0, dtype=torch.long))
    with pytest.raises(ValueError, match="'user' must hold ids of at least 0"):
        sample_negatives(torch.tensor([-1]), EDGES, NUM_ITEMS)
    with pytest.raises(ValueError, match=r"'user' must have the shape \[B\] \(got \[1, 2\]\)"):
        sample_negatives(torch.tensor([[0, 1]]), EDGES, NUM_ITEMS)
    with pytest.raises(TypeError, match=r"'user' must be a torch tensor \(got a list\)"):
        sample_negatives([0, 1], EDGES, NUM_ITEMS)
    with pytest.raises(TypeError, match=r"'edge_index' must be a long tensor \(got ndarray\)"):
        sample_negatives(torch.tensor([0]), EDGES.numpy(), NUM_ITEMS)
    with pytest.raises(TypeError, match=r"'generator' must be a torch.Generator \(got 3, a int\)"):
        sample_negatives(torch.tensor([0]), EDGES, NUM_ITEMS, generator=3)
    for num_items in (40.5, "40", None):
        with pytest.raises(TypeError, match=rf"'num_items' must be an integer \(got {num_items!r}"):
            sample_negatives(torch.tensor([0]), EDGES, num_items)
    with pytest.raises(ValueError, match=r"'num_items' must be at least 1 \(got -1\)"):
        sample_negatives(torch.tensor([0]), EDGES, -1)
    with pytest.raises(TypeError, match="'user' must be a long tensor"):
        sample_negatives(torch.tensor([0], dtype=torch.int32), EDGES, NUM_ITEMS)
