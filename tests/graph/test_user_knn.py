"""user_knn_graph is knn_graph of the users' mean features, by whichever route."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drepm_pyg.graph import knn_graph, user_knn_graph
from tests.graph.dense_reference import assert_exact, knn_edges

METRICS = ("cosine", "ip", "l2")
SMALL = 15_000  # bytes: too few for the items' Gram matrix


def interactions(num_users: int, num_items: int, num_pairs: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    # Every user has an item; some have many.
    user = np.concatenate([np.arange(num_users), (num_users * rng.random(num_pairs) ** 2).astype(int)])
    pairs = np.unique(np.stack([user, rng.integers(0, num_items, len(user))]), axis=1)
    return torch.from_numpy(pairs[:, rng.permutation(pairs.shape[1])])


def mean_features(x: Tensor, pairs: Tensor, num_users: int) -> tuple[Tensor, Tensor]:
    total = torch.zeros(num_users, x.size(1), dtype=torch.float64).index_add(0, pairs[0], x.double()[pairs[1]])
    degree = torch.bincount(pairs[0], minlength=num_users)
    return total / degree.clamp(min=1)[:, None], degree > 0


def test_hand_worked_graph() -> None:
    x_item = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    pairs = torch.tensor([[0, 1, 1, 2, 3, 3], [0, 0, 1, 2, 1, 2]])
    # Means (1, 0), (.5, .5), (1, 1), (.5, 1): users 1 and 2 point the same way, user 3 is nearer to them than user 0.
    assert user_knn_graph(x_item, pairs, 4, 1).tolist() == [[1, 2, 1, 1], [0, 1, 2, 3]]


@pytest.mark.parametrize(("index", "budget"), [("gram", 1 << 30), ("blocks", 1 << 30), ("auto", SMALL)])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["normal", "positive", "clustered", "far from 0"])
def test_is_the_graph_of_the_mean_features(
    kind: str, metric: str, loop: bool, index: str, budget: int, generator: torch.Generator
) -> None:
    x = torch.randn(60, 12, generator=generator)
    x = {"normal": x, "positive": x.abs(), "clustered": x[:1] + 1e-4 * x, "far from 0": x + 1e3}[kind]
    pairs = interactions(100, 60, 300)
    mean, present = mean_features(x, pairs, 100)
    assert present.all()
    edge_index, info = user_knn_graph(
        x, pairs, 100, 6, metric=metric, loop=loop, index=index, memory_budget=budget, return_info=True
    )
    assert info.index == ("blocks" if index == "auto" else index)
    assert_exact(edge_index, mean, 6, metric, loop)
    assert torch.equal(edge_index, user_knn_graph(x, pairs, 100, 6, metric=metric, loop=loop))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METRICS), st.booleans())
def test_ties_go_to_the_smaller_id(seed: int, metric: str, loop: bool) -> None:
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.integers(-1, 2, (4, 2)).astype(np.float32))
    # Two items a user: halves are exact.
    user = np.repeat(np.arange(12), 2)
    pairs = torch.from_numpy(np.stack([user, rng.integers(0, 4, 24)]))
    doubled = torch.zeros(12, 2).index_add(0, pairs[0], x[pairs[1]])
    assert torch.equal(user_knn_graph(x, pairs, 12, 3, metric=metric, loop=loop), knn_edges(doubled, 3, metric, loop))


def test_users_with_the_same_items_are_exact_ties() -> None:
    x = torch.rand(9, 5, generator=torch.Generator().manual_seed(0))
    items = [7, 2, 5]
    pairs = torch.tensor([[u for u in range(4) for _ in items] + [4], [*items, *items[::-1], *items, *items, 0]])
    edge_index, weight = user_knn_graph(x, pairs, 5, 3, return_weight=True)
    assert edge_index[0].view(5, 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]
    assert (weight[:12] == 1).all()


@pytest.mark.parametrize("index", ["gram", "blocks"])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_bags_in_the_same_proportions_are_exact_ties(generator: torch.Generator, metric: str, index: str) -> None:
    """Their means are the same bits, as the sums of so few float32 rows are exact in float64."""
    x = torch.randn(4, 7, generator=generator)[[0, 0, 0, 1, 1]]
    bags = [[0], [0, 1], [0, 1, 2], [0, 3], [0, 1, 3, 4], [2, 4, 2, 4], [0, 3, 3, 0, 1, 4]]
    bought = torch.tensor([(user, item) for user, bag in enumerate(bags) for item in bag]).T
    weight = torch.tensor([float(3 + user) for user, bag in enumerate(bags) for _ in bag])
    mean = torch.stack([x[bag].double().mean(0) for bag in bags])
    assert len(mean.unique(dim=0)) == 2
    expected = knn_graph(mean, 4, metric=metric)
    for edge_weight in (None, weight):
        found = user_knn_graph(x, bought, len(bags), 4, metric=metric, index=index, edge_weight=edge_weight)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("metric", METRICS)
def test_users_whose_items_count_alike_tie_whatever_they_count(metric: str, generator: torch.Generator) -> None:
    """Weights that are no multiples of a number, such as recencies: the mean is the plain mean to the bit."""
    x = torch.randn(5, 32, generator=generator)
    user = torch.arange(40).repeat_interleave(2)
    pairs = torch.stack([user, user % 4 + torch.tensor([0, 1]).repeat(40)])
    for bought in (pairs, pairs[:, ::2]):
        weight = torch.rand(40, generator=generator, dtype=torch.float64)[bought[0]]
        found = user_knn_graph(x, bought, 40, 3, metric=metric, edge_weight=weight)
        assert torch.equal(found, user_knn_graph(x, bought, 40, 3, metric=metric))


def test_items_with_the_same_features_make_users_tie() -> None:
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))[[0, 1, 1, 0, 2]]
    pairs = torch.tensor([[0, 0, 1, 1, 2, 2, 3], [0, 1, 2, 3, 3, 1, 4]])
    assert user_knn_graph(x, pairs, 4, 2)[0].view(4, 2)[:3].tolist() == [[1, 2], [0, 2], [0, 1]]


@pytest.mark.parametrize("metric", METRICS)
def test_means_run_over_items_that_have_the_modality(metric: str, generator: torch.Generator) -> None:
    x = torch.randn(40, 6, generator=generator)
    mask = torch.rand(40, generator=generator) < 0.5
    pairs = interactions(70, 40, 60)
    kept = pairs[:, mask[pairs[1]]]
    mean, present = mean_features(x, kept, 70)
    assert not present.all()
    expected = knn_graph(mean, 4, metric=metric, mask=present)
    x[~mask] = torch.nan
    edge_index = user_knn_graph(x, pairs, 70, 4, metric=metric, mask=mask)
    assert torch.equal(edge_index, expected)
    assert edge_index.unique().tolist() == present.nonzero().flatten().tolist()


def test_users_without_items_have_no_edges() -> None:
    x = torch.eye(3)
    edge_index = user_knn_graph(x, torch.tensor([[1, 3, 5], [0, 1, 2]]), 7, 2)
    assert edge_index.tolist() == [[3, 5, 1, 5, 1, 3], [1, 1, 3, 3, 5, 5]]


def test_a_pair_that_occurs_twice_counts_twice(generator: torch.Generator) -> None:
    x = torch.randn(5, 4, generator=generator)
    pairs = torch.tensor([[0, 0, 0, 1, 1, 2, 3], [0, 0, 1, 0, 1, 2, 3]])
    _, weight = user_knn_graph(x, pairs, 4, 3, metric="l2", return_weight=True)
    mean, _ = mean_features(x, pairs, 4)
    expected = knn_graph(mean, 3, metric="l2", return_weight=True)[1]
    torch.testing.assert_close(weight.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index", ["gram", "blocks"])
@pytest.mark.parametrize("offset", [-1000, 0, 480])
def test_weights_of_any_size_give_the_means_of_their_shares(
    index: str, metric: str, offset: int, generator: torch.Generator
) -> None:
    """Recency that halves every week, over ten years: powers of two up to 521 above ``offset``."""
    x, pairs = torch.randn(60, 12, generator=generator), interactions(100, 60, 300)
    weeks = 3650 / 7 * torch.rand(pairs.size(1), generator=generator, dtype=torch.float64)
    latest = torch.zeros(100, dtype=torch.float64).scatter_reduce(0, pairs[0], weeks, "amax", include_self=False)
    share = torch.exp2(weeks - latest[pairs[0]])
    total = torch.zeros(100, dtype=torch.float64).index_add(0, pairs[0], share)
    weighted = x.double()[pairs[1]] * (share / total[pairs[0]])[:, None]
    mean = torch.zeros(100, 12, dtype=torch.float64).index_add(0, pairs[0], weighted)
    weight = torch.exp2(weeks + offset)
    edge_index = user_knn_graph(x, pairs, 100, 6, metric=metric, index=index, edge_weight=weight)
    assert_exact(edge_index, mean, 6, metric, False)


def test_a_common_factor_of_the_weights_changes_nothing(generator: torch.Generator) -> None:
    x, pairs = torch.randn(60, 12, generator=generator), interactions(100, 60, 300)
    weight = torch.randint(1, 6, (pairs.size(1),), generator=generator).double()
    expected = user_knn_graph(x, pairs, 100, 6, edge_weight=weight)
    for factor in (2.0**-1000, 2.0**1000):
        assert torch.equal(user_knn_graph(x, pairs, 100, 6, edge_weight=factor * weight), expected)


def test_opposite_items_cancel_to_a_zero_row() -> None:
    x = torch.tensor([[0.3, 0.1], [-0.3, -0.1], [1.0, 0.0], [0.0, 1.0]])
    pairs = torch.tensor([[0, 0, 1, 2, 3], [0, 1, 2, 3, 0]])
    # User 0 has the mean 0, and cosine 0 with everyone: its neighbours go by id.
    neighbour = user_knn_graph(x, pairs, 4, 3)[0].view(4, 3)
    assert neighbour[0].tolist() == [1, 2, 3]
    assert neighbour[1].tolist() == [3, 0, 2]


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_the_pairs_does_not_matter(metric: str, generator: torch.Generator) -> None:
    x, pairs = torch.randn(30, 5, generator=generator), interactions(50, 30, 200)
    shuffled = pairs[:, torch.randperm(pairs.size(1), generator=generator)]
    first, second = (user_knn_graph(x, p, 50, 5, metric=metric, return_weight=True) for p in (pairs, shuffled))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_half_precision_and_arrays(generator: torch.Generator) -> None:
    x, pairs = torch.randn(30, 5, generator=generator).half(), interactions(50, 30, 200)
    expected = user_knn_graph(x.double(), pairs, 50, 5)
    assert torch.equal(user_knn_graph(x, pairs, 50, 5), expected)
    assert torch.equal(user_knn_graph(x.numpy(), pairs, 50, 5), expected)


@pytest.mark.errors
class TestErrors:
    x = torch.eye(3)

    def test_k_above_the_number_of_users_with_items(self) -> None:
        pairs = torch.tensor([[0, 1], [0, 1]])
        with pytest.raises(ValueError, match=r"number of other users, 1 \(got k=2 for 2 users with features"):
            user_knn_graph(self.x, pairs, 9, 2)

    def test_no_pairs(self) -> None:
        with pytest.raises(ValueError, match=r"number of users, 0 \(got k=1"):
            user_knn_graph(self.x, torch.empty(2, 0, dtype=torch.long), 9, 1, loop=True)

    def test_ids_out_of_range(self) -> None:
        with pytest.raises(ValueError, match=r"'edge_index\[0\]' must hold ids in \[0, 2\) for 2 users \(got 0 to 2\)"):
            user_knn_graph(self.x, torch.tensor([[0, 2], [0, 1]]), 2, 1)
        with pytest.raises(ValueError, match=r"'edge_index\[1\]' must hold ids in \[0, 3\) for 3 items \(got 0 to 3\)"):
            user_knn_graph(self.x, torch.tensor([[0, 1], [0, 3]]), 2, 1)

    def test_edge_index_of_another_shape(self) -> None:
        with pytest.raises(ValueError, match=r"'edge_index' must have the shape \[2, E\]"):
            user_knn_graph(self.x, torch.zeros(3, 2, dtype=torch.long), 2, 1)

    def test_arrays_where_tensors_are_needed(self) -> None:
        pairs = torch.tensor([[0, 1], [0, 1]])
        with pytest.raises(TypeError, match=r"'edge_index' must be a long tensor \(got ndarray\)"):
            user_knn_graph(self.x, pairs.numpy(), 2, 1)
        with pytest.raises(TypeError, match=r"'edge_weight' must be a torch tensor \(got a ndarray\)"):
            user_knn_graph(self.x, pairs, 2, 1, edge_weight=torch.ones(2).numpy())

    def test_weights_are_real(self) -> None:
        with pytest.raises(TypeError, match=r"'edge_weight' must hold real numbers \(got torch.complex64\)"):
            user_knn_graph(self.x, torch.tensor([[0, 1], [0, 1]]), 2, 1, edge_weight=torch.ones(2, dtype=torch.cfloat))

    def test_nan_names_the_items(self) -> None:
        x = torch.eye(3)
        x[2] = torch.nan
        with pytest.raises(ValueError, match=r"'x_item' holds NaN or infinite values in 1 of 3 rows \(first: \[2\]\)"):
            user_knn_graph(x, torch.tensor([[0, 1], [0, 1]]), 2, 1)


@pytest.mark.parametrize(("factor", "width"), [(1e-120, 6), (1e-165, 6), (1e-165, 80)])
@pytest.mark.parametrize("index", ["gram", "blocks"])
def test_cosines_of_users_whose_squares_vanish(
    index: str, factor: float, width: int, generator: torch.Generator
) -> None:
    x = torch.randn(20, width, generator=generator, dtype=torch.float64)
    pairs = interactions(12, 10, 30)
    pairs = torch.cat([pairs, pairs + torch.tensor([[12], [10]])], dim=1)  # 12 more users, of the other items alone
    expected = user_knn_graph(x, pairs, 24, 5, index=index)
    x[10:] *= factor
    assert torch.equal(user_knn_graph(x, pairs, 24, 5, index=index), expected)


def test_a_user_whose_pairs_all_weigh_nothing_has_no_row() -> None:
    pairs, weight = torch.tensor([[0, 1, 2, 2], [0, 1, 2, 0]]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert user_knn_graph(torch.eye(3), pairs, 3, 1, edge_weight=weight).tolist() == [[1, 0], [0, 1]]
