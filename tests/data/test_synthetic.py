"""Synthetic data have the sizes, the structure and the reproducibility that are promised."""

from collections.abc import Callable

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import SPLIT_INDEX, USER_ITEM, Interactions, SyntheticMultimodal, modalities, validate


def test_sizes_are_those_asked_for() -> None:
    dataset = SyntheticMultimodal(
        num_users=300, num_items=120, num_interactions=4000, modalities={"audio": (7, 1.0), "text": (5, 0.0)}
    )
    data = dataset[0]
    assert (len(dataset), data["user"].num_nodes, data["item"].num_nodes) == (1, 300, 120)
    assert {name: tuple(data["item"][name].shape) for name in modalities(data)} == {"audio": (120, 7), "text": (120, 5)}
    assert Interactions.of(data).edge_index.size(1) == 4000
    assert validate(data) == []


@pytest.mark.parametrize(("num_users", "num_items"), [(1, 2), (3, 2), (2, 9), (40, 5)])
def test_small_sizes_work(num_users: int, num_items: int) -> None:
    data = SyntheticMultimodal(num_users, num_items)[0]
    assert validate(data) == []


def test_a_user_may_have_all_items_but_one() -> None:
    data = SyntheticMultimodal(4, 30, num_interactions=4 * 29)[0]
    assert torch.bincount(Interactions.of(data).edge_index[0]).tolist() == [29] * 4
    assert validate(data) == []


def test_equal_seeds_give_equal_data() -> None:
    one, same, other = (SyntheticMultimodal(100, 60, seed=seed)[0] for seed in (3, 3, 4))
    for index in SPLIT_INDEX.values():
        assert torch.equal(one[USER_ITEM][index], same[USER_ITEM][index])
    assert torch.equal(one["item"].image, same["item"].image)
    assert not torch.equal(one["item"].image, other["item"].image)


def test_a_transform_is_applied_once_or_at_every_access() -> None:
    calls: list[str] = []

    def noted(name: str) -> Callable[[HeteroData], HeteroData]:
        def transform(data: HeteroData) -> HeteroData:
            calls.append(name)
            data["item"][name] = torch.ones(60)
            return data

        return transform

    dataset = SyntheticMultimodal(100, 60, transform=noted("each"), pre_transform=noted("once"))
    for _ in range(2):
        data = dataset[0]
        assert "each" in data["item"]
        assert "once" in data["item"]
    assert calls == ["once", "each", "each"]


def test_popularity_is_skewed_by_the_exponent() -> None:
    shares = []
    for popularity in (0.0, 1.2):
        data = SyntheticMultimodal(2000, 500, popularity=popularity)[0]
        count = torch.bincount(data[USER_ITEM].edge_index[1], minlength=500).sort(descending=True).values
        shares.append(float(count[:50].sum() / count.sum()))
    assert shares[0] < 0.3 < 0.45 < shares[1]


def lift(data, name: str) -> float:
    """How much more often the nearest neighbour by a modality shares users than items at random do."""
    edge_index, num_items = data[USER_ITEM].edge_index, data["item"].num_nodes
    taken = torch.zeros(data["user"].num_nodes, num_items)
    taken[edge_index[0], edge_index[1]] = 1
    shared = taken.T @ taken
    x = torch.nn.functional.normalize(data["item"][name], dim=1)
    nearest = (x @ x.T).fill_diagonal_(-2).argmax(dim=1)
    shared.fill_diagonal_(0)
    return float(shared[torch.arange(num_items), nearest].mean() / (shared.sum() / (num_items * (num_items - 1))))


def test_features_tell_of_taste_as_far_as_their_signal_goes() -> None:
    data = SyntheticMultimodal(
        1500, 300, modalities={"strong": (32, 5.0), "faint": (32, 0.3), "noise": (32, 0.0)}, popularity=0.3
    )[0]
    strong, faint, noise = (lift(data, name) for name in ("strong", "faint", "noise"))
    assert strong > 1.3 * faint > 1.3 * 1.3 * noise
    assert noise == pytest.approx(1, abs=0.25)


def test_features_have_unit_variance_at_any_ratio() -> None:
    data = SyntheticMultimodal(50, 4000, modalities={"low": (64, 0.1), "high": (64, 10.0)}, num_factors=32)[0]
    for name in ("low", "high"):
        assert data["item"][name].var().item() == pytest.approx(1, abs=0.1)


def test_users_like_what_their_factors_point_at() -> None:
    """Training items of a user lie closer together than the items of the catalogue do."""
    data = SyntheticMultimodal(500, 400, modalities={"strong": (64, 100.0)}, popularity=0.0)[0]
    x = torch.nn.functional.normalize(data["item"].strong, dim=1)
    user, item = data[USER_ITEM].edge_index
    mean = torch.zeros(500, 64).index_add_(0, user, x[item]) / torch.bincount(user, minlength=500)[:, None]
    assert mean.norm(dim=1).mean() > 1.2 * x[torch.randperm(400)[:8]].mean(dim=0).norm()


@pytest.mark.errors
def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'num_interactions' must lie between .*\(10 to 40 for 10 users and 5 items; got 41\)"
    ):
        SyntheticMultimodal(10, 5, num_interactions=41)
    with pytest.raises(TypeError, match=r"'num_interactions' must be an integer \(got 20.0"):
        SyntheticMultimodal(10, 5, num_interactions=20.0)
    with pytest.raises(ValueError, match="'num_items' must be at least 2"):
        SyntheticMultimodal(10, 1)
    with pytest.raises(ValueError, match="A modality cannot be named 'a-b'"):
        SyntheticMultimodal(10, 5, modalities={"a-b": (3, 1.0)})
    with pytest.raises(ValueError, match=r"modalities\['a'\]\[1\]"):
        SyntheticMultimodal(10, 5, modalities={"a": (3, -1.0)})
