"""Splits deal every interaction once, by the rules that they name."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import (
    ITEM_USER,
    SPLIT_INDEX,
    USER_ITEM,
    Interactions,
    assign_split,
    build_data,
    leave_one_out_split,
    random_split,
    similar,
    temporal_split,
)

LENGTHS = [1, 2, 3, 9, 10, 14, 15, 29, 30]  # interactions of user 0, 1, ...
HELD_OUT = {1: (0, 0), 2: (0, 0), 3: (1, 1), 9: (1, 1), 10: (1, 1), 14: (1, 1), 15: (1, 2), 29: (2, 3), 30: (3, 3)}


def histories(*, shuffled: bool = False, timed: bool = True) -> HeteroData:
    """User u has LENGTHS[u] items; the later an interaction, the larger its rating."""
    user = torch.arange(len(LENGTHS)).repeat_interleave(torch.tensor(LENGTHS))
    item = torch.cat([torch.arange(length) for length in LENGTHS])
    order = (
        torch.randperm(len(user), generator=torch.Generator().manual_seed(1)) if shuffled else torch.arange(len(user))
    )
    pairs = torch.stack([user, item])[:, order]
    time = (100 * item + user)[order]
    return build_data(
        len(LENGTHS), max(LENGTHS), pairs, rating=time.float() if timed else None, time=time if timed else None
    )


def counts(data: HeteroData, split: str) -> list[int]:
    return torch.bincount(data[USER_ITEM][SPLIT_INDEX[split]][0], minlength=len(LENGTHS)).tolist()


def pair_set(data: HeteroData, split: str) -> set[tuple[int, int]]:
    return set(map(tuple, data[USER_ITEM][SPLIT_INDEX[split]].T.tolist()))


@pytest.mark.parametrize("split", [random_split, leave_one_out_split, temporal_split])
def test_every_interaction_is_dealt_once_and_keeps_its_values(split) -> None:
    before = histories(shuffled=True)
    after = split(before)
    store = after[USER_ITEM]
    dealt = Counter(pair for name in SPLIT_INDEX for pair in pair_set(after, name))
    assert dealt == Counter(pair_set(before, "train"))
    for name, index in SPLIT_INDEX.items():
        prefix = "" if name == "train" else f"{name}_"
        user, item = store[index]
        assert torch.equal(store[f"{prefix}time"], 100 * item + user)
        assert torch.equal(store[f"{prefix}rating"], (100 * item + user).float())
    assert torch.equal(after[ITEM_USER].edge_index, store.edge_index.flip(0))


def test_every_tensor_of_the_pairs_goes_with_them_through_two_splits() -> None:
    before = histories(shuffled=True)
    before[USER_ITEM].edge_attr = before[USER_ITEM].edge_index.T.clone()
    store = leave_one_out_split(random_split(before))[USER_ITEM]
    for name, index in SPLIT_INDEX.items():
        assert torch.equal(store["edge_attr" if name == "train" else f"{name}_edge_attr"], store[index].T)


def test_what_does_not_belong_to_every_pair_is_left_out() -> None:
    one = torch.tensor([[0], [0]])
    data = build_data(2, 3, torch.tensor([[0, 0], [1, 2]]), one, rating=torch.ones(2))  # the validation pair has none
    data[USER_ITEM].val_edge_attr = torch.ones(1)  # the training pairs have none
    data[USER_ITEM].adj_t, data[USER_ITEM].source = torch.eye(3), "a shop"
    data[USER_ITEM].edge_label_index = torch.zeros(2, 5, dtype=torch.long)  # as many rows as there are training pairs
    data[ITEM_USER].edge_attr = torch.ones(2)
    after = assign_split(data, torch.tensor([0, 1, 0]))
    assert set(after[USER_ITEM].keys()) == set(SPLIT_INDEX.values())
    assert set(after[ITEM_USER].keys()) == {"edge_index"}
    assert data[ITEM_USER].edge_attr.tolist() == [1, 1]


def test_random_split_holds_out_by_the_fields_rule() -> None:
    data = random_split(histories())
    assert counts(data, "val") == [HELD_OUT[length][0] for length in LENGTHS]
    assert counts(data, "test") == [HELD_OUT[length][1] for length in LENGTHS]
    assert min(counts(data, "train")) >= 1


def one_user(num_items: int, *, timed: bool = False) -> HeteroData:
    pairs = torch.stack([torch.zeros(num_items, dtype=torch.long), torch.arange(num_items)])
    return build_data(1, num_items, pairs, time=torch.arange(num_items) if timed else None)


def test_a_history_of_ten_is_long() -> None:
    assert [counts(random_split(one_user(size), held_out=0.4), "train")[0] for size in (9, 10)] == [7, 6]


def test_a_share_is_taken_of_the_exact_product() -> None:
    """0.29 * 100 is 28.999... in floating point."""
    assert counts(random_split(one_user(100), held_out=0.29), "train")[0] == 71
    assert counts(temporal_split(one_user(100, timed=True), val=0.0, test=0.29), "train")[0] == 71


def test_a_temporal_split_may_have_no_test_part() -> None:
    store = temporal_split(one_user(5, timed=True), val=0.2, test=0.0)[USER_ITEM]
    assert store.edge_index.tolist() == [[0, 0, 0, 0], [0, 1, 2, 3]]
    assert store.val_edge_label_index.tolist() == [[0], [4]]
    assert store.test_edge_label_index.shape == (2, 0)


def test_random_split_depends_on_the_seed_and_not_on_the_order_of_the_pairs() -> None:
    one, other, third = (
        random_split(histories(), seed=1),
        random_split(histories(shuffled=True), seed=1),
        random_split(histories(), seed=2),
    )
    assert [pair_set(one, name) for name in SPLIT_INDEX] == [pair_set(other, name) for name in SPLIT_INDEX]
    assert pair_set(one, "test") != pair_set(third, "test")


def test_a_seed_may_be_an_integer_of_numpy() -> None:
    one, other = (random_split(histories(), seed=seed) for seed in (3, np.int64(3)))
    assert torch.equal(one[USER_ITEM].edge_index, other[USER_ITEM].edge_index)


def test_splitting_again_deals_the_held_out_pairs_too() -> None:
    once = random_split(histories(), seed=1)
    again = random_split(random_split(histories(), seed=2), seed=1)
    assert [pair_set(once, name) for name in SPLIT_INDEX] == [pair_set(again, name) for name in SPLIT_INDEX]


def test_random_split_favours_no_interaction() -> None:
    """Each of ten interactions is for test in about a tenth of the seeds."""
    data = build_data(1, 10, torch.stack([torch.zeros(10, dtype=torch.long), torch.arange(10)]))
    held = Counter(random_split(data, seed=seed)[USER_ITEM].test_edge_label_index[1].item() for seed in range(1000))
    assert min(held.values()) > 60
    assert max(held.values()) < 145


def test_the_input_of_a_split_is_untouched() -> None:
    data = histories()
    edge_index = data[USER_ITEM].edge_index
    random_split(data)
    assert data[USER_ITEM].edge_index is edge_index
    assert data[USER_ITEM].test_edge_label_index.shape == (2, 0)


def test_leave_one_out_takes_the_last_two_by_time() -> None:
    data = leave_one_out_split(histories(shuffled=True))
    eligible = [(user, length) for user, length in enumerate(LENGTHS) if length >= 3]
    assert pair_set(data, "test") == {(user, length - 1) for user, length in eligible}
    assert pair_set(data, "val") == {(user, length - 2) for user, length in eligible}


def test_leave_one_out_without_time_is_random_and_seeded() -> None:
    one, same, other = (leave_one_out_split(histories(timed=False), seed=seed) for seed in (1, 1, 2))
    assert counts(one, "test") == counts(one, "val") == [int(length >= 3) for length in LENGTHS]
    assert pair_set(one, "test") == pair_set(same, "test") != pair_set(other, "test")


def test_leave_one_out_breaks_ties_in_time_by_item() -> None:
    pairs = torch.tensor([[0, 0, 0, 0], [3, 1, 2, 0]])
    data = leave_one_out_split(build_data(1, 4, pairs, time=torch.tensor([5, 5, 5, 5])))
    assert (pair_set(data, "test"), pair_set(data, "val")) == ({(0, 3)}, {(0, 2)})


def test_temporal_split_trains_on_nothing_later_than_what_it_tests() -> None:
    store = temporal_split(histories(), val=0.2, test=0.1, drop_unknown=False)[USER_ITEM]
    assert store.time.max() < store.val_time.min() <= store.val_time.max() < store.test_time.min()
    total = sum(LENGTHS)
    assert (len(store.test_time), len(store.val_time)) == (11, 33 - 11)  # floor(0.1 * 113), floor(0.3 * 113) - 11
    assert total == 113


def test_temporal_split_never_tears_a_moment_apart() -> None:
    pairs = torch.stack([torch.zeros(10, dtype=torch.long), torch.arange(10)])
    time = torch.tensor([0, 1, 2, 3, 4, 5, 6, 9, 9, 9])
    store = temporal_split(build_data(1, 10, pairs, time=time), val=0.1, test=0.1)[USER_ITEM]
    assert store.test_time.tolist() == [9, 9, 9]
    assert store.val_time.tolist() == []


def test_temporal_split_drops_users_unknown_in_training_on_demand() -> None:
    pairs = torch.tensor([[0, 0, 0, 1], [0, 1, 2, 0]])
    data = build_data(2, 3, pairs, time=torch.tensor([0, 1, 2, 3]))
    assert pair_set(temporal_split(data, val=0.25, test=0.25), "test") == set()
    assert pair_set(temporal_split(data, val=0.25, test=0.25, drop_unknown=False), "test") == {(1, 0)}


def test_assign_split_drops_on_minus_one() -> None:
    data = assign_split(build_data(2, 3, torch.tensor([[0, 0, 1], [0, 1, 2]])), torch.tensor([0, -1, 2]))
    assert [pair_set(data, name) for name in SPLIT_INDEX] == [{(0, 0)}, set(), {(1, 2)}]


def test_all_interactions_come_in_the_order_of_the_splits() -> None:
    pairs = [torch.tensor([[0], [item]]) for item in range(3)]
    pooled = Interactions.of(build_data(1, 3, *pairs, rating=torch.ones(1)))
    assert pooled.edge_index[1].tolist() == pooled.label.tolist() == [0, 1, 2]
    assert pooled.rating is None  # the held-out pairs have none


@pytest.mark.errors
def test_a_split_by_time_needs_time_stamps() -> None:
    for split in (temporal_split, lambda data: leave_one_out_split(data, order="time")):
        with pytest.raises(ValueError, match="needs a time stamp for every interaction"):
            split(histories(timed=False))


@pytest.mark.errors
@pytest.mark.parametrize("order", ["auto", "time"])
@pytest.mark.parametrize("gap", [torch.nan, torch.inf])
def test_a_split_by_time_needs_finite_time_stamps(gap: float, order: str) -> None:
    data = histories()
    data[USER_ITEM].time = data[USER_ITEM].time.double()
    data[USER_ITEM].time[[5, 70]] = gap
    for split in (temporal_split, lambda data: leave_one_out_split(data, order=order)):
        with pytest.raises(ValueError, match=r"a finite time stamp for every interaction \(2 of 113 have none\)"):
            split(data)
    assert counts(random_split(data), "test") == [HELD_OUT[length][1] for length in LENGTHS]


@pytest.mark.errors
def test_data_without_interactions_are_refused_and_left_alone() -> None:
    data = HeteroData()
    data["user"].num_nodes = 2
    with pytest.raises(ValueError, match=r"must have interactions in .* \(got the edge types \[\]\)"):
        random_split(data)
    assert data.edge_types == []


@pytest.mark.errors
@pytest.mark.parametrize("split", [random_split, leave_one_out_split, temporal_split])
def test_values_that_are_too_few_are_named(split) -> None:
    data = histories()
    data[USER_ITEM].time = torch.arange(2)
    with pytest.raises(ValueError, match=r"\['time'\] must hold a value for each pair \(got \[2\] for \[\d+\] pairs"):
        split(data)


@pytest.mark.errors
def test_a_split_that_leaves_nothing_for_training_is_refused() -> None:
    data = build_data(1, 3, torch.tensor([[0, 0, 0], [0, 1, 2]]), time=torch.tensor([4, 4, 4]))
    with pytest.raises(ValueError, match="leaves no interaction for training"):
        temporal_split(data, val=0.4, test=0.4)


@pytest.mark.errors
@pytest.mark.parametrize(
    "kind",
    [similar("user", "text"), ("user", "cooccurs", "user"), ("user", "pruned", "item"), ("item", "rev_pruned", "user")],
)
def test_data_with_graphs_of_the_pairs_are_refused_because_they_know_the_old_split(kind: tuple[str, str, str]) -> None:
    data = histories()
    data[kind].edge_index = torch.tensor([[1], [0]])
    with pytest.raises(ValueError, match="would leak held-out pairs"):
        random_split(data)


@pytest.mark.parametrize(
    "kind", [similar("item", "text"), ("user", "follows", "user"), ("user", "in", "city"), ("item", "has", "brand")]
)
def test_what_does_not_come_from_the_pairs_survives_a_split(kind: tuple[str, str, str]) -> None:
    data = histories()
    data[kind].edge_index = torch.tensor([[1], [0]])
    assert random_split(data)[kind].edge_index is data[kind].edge_index


@pytest.mark.errors
def test_arguments_that_deal_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="'held_out' must lie in"):
        random_split(histories(), held_out=1.0)
    with pytest.raises(ValueError, match=r"'val \+ test' must lie in"):
        temporal_split(histories(), val=0.6, test=0.6)
    with pytest.raises(ValueError, match="'order' must be one of"):
        leave_one_out_split(histories(), order="newest")
    for seed in ("1", 1.5, None):
        with pytest.raises(TypeError, match=rf"'seed' must be an integer \(got {seed!r}"):
            random_split(histories(), seed=seed)
        with pytest.raises(TypeError, match=rf"'seed' must be an integer \(got {seed!r}"):
            leave_one_out_split(histories(), order="random", seed=seed)
    with pytest.raises(ValueError, match=r"'seed' must be less than 2\*\*64"):
        random_split(histories(), seed=2**64)
