"""The targets of the similarity-supervised signal: every form is the definition, and nothing outlives its data."""

import copy
import gc
import weakref
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from drepm_pyg.models import targets as targets_module
from drepm_pyg.models.targets import SimilarityTargets
from drepm_pyg.nn.functional import FactoredSimilarity, ImplicitSimilarity, IndexedSimilarity
from tests import toy

WEIGHTS = {"image": 0.3, "text": 0.7}
WIDE = {"image": 60, "text": 50}


def definition(data: HeteroData, node: str, ids: Tensor) -> Tensor:
    """Pair by pair: cosines of raw features, weighted by what each of the two nodes has."""
    edge_index = data["user", "interacts", "item"].edge_index
    rows: dict[str, dict[int, Tensor]] = {name: {} for name in WEIGHTS}
    for name in WEIGHTS:
        x, mask = data["item"][name].double(), data["item"].get(f"{name}_mask", torch.ones(toy.ITEMS))
        for n in set(ids.tolist()):
            own = [n] if node == "item" else edge_index[1][edge_index[0] == n].tolist()
            present = [x[i] for i in own if mask[i]]
            if present:
                rows[name][n] = torch.stack(present).mean(0)
    target = torch.zeros(len(ids), len(ids), dtype=torch.float64)
    for b, n in enumerate(ids.tolist()):
        for c, m in enumerate(ids.tolist()):
            for name, weight in WEIGHTS.items():
                if n in rows[name] and m in rows[name]:
                    share = [weight / sum(WEIGHTS[o] for o in WEIGHTS if node_ in rows[o]) for node_ in (n, m)]
                    cosine = torch.cosine_similarity(rows[name][n], rows[name][m], dim=0)
                    target[b, c] += (share[0] * share[1]) ** 0.5 * cosine
    return target


def dense(target: ImplicitSimilarity) -> Tensor:
    return target.dense()


@pytest.mark.parametrize("node", ["user", "item"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("widths", "memory_budget", "form"),
    [(toy.WIDTHS, 2**20, FactoredSimilarity), (WIDE, 2**20, IndexedSimilarity), (WIDE, 0, FactoredSimilarity)],
    ids=["narrow", "wide", "wide without memory"],
)
def test_every_form_is_the_definition(
    node: str, masked: bool, widths: dict[str, int], memory_budget: int, form: type
) -> None:
    data = toy.toy_data(masked=masked, widths=widths)
    ids = torch.tensor([3, 0, 9, 4, 1, 7])
    targets = SimilarityTargets(WEIGHTS, memory_budget=memory_budget)
    target = targets(data, node, ids, torch.zeros(6, 2, dtype=torch.float64))
    assert isinstance(target, form)
    torch.testing.assert_close(dense(target), definition(data, node, ids))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("strip", [4, 64])
def test_products_of_items_give_those_of_users(masked: bool, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "SPARSE_COST", 0)  # what is sparse costs nothing: more users than items decide
    monkeypatch.setattr(targets_module, "_STRIP", strip)
    formed = MagicMock(wraps=targets_module._sum_of_products)
    monkeypatch.setattr(targets_module, "_sum_of_products", formed)
    data, ids = toy.toy_data(masked=masked, widths=WIDE), torch.arange(toy.USERS)
    target = SimilarityTargets(WEIGHTS)(data, "user", ids, torch.zeros(len(ids), 2, dtype=torch.float64))
    assert formed.called
    assert isinstance(target, IndexedSimilarity)
    torch.testing.assert_close(dense(target), definition(data, "user", ids))


@pytest.mark.parametrize("sparse", [0, 60], ids=["products of items", "rows of users"])
@pytest.mark.parametrize("size", [1e-30, 1e25])
@pytest.mark.parametrize("node", ["user", "item"])
def test_the_length_of_features_does_not_matter(
    node: str, size: float, sparse: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets_module, "SPARSE_COST", sparse)
    data = toy.toy_data(widths=WIDE)
    ids = torch.arange(data[node].num_nodes)
    expected = definition(data, node, ids).float()
    for name in WIDE:
        data["item"][name] = size * data["item"][name]
    for memory_budget in (0, 2**20):
        targets = SimilarityTargets(WEIGHTS, memory_budget=memory_budget)
        torch.testing.assert_close(dense(targets(data, node, ids, torch.zeros(len(ids), 2))), expected)


@pytest.mark.parametrize("node", ["user", "item"])
def test_a_node_with_any_modality_is_fully_similar_to_itself(node: str) -> None:
    data = toy.toy_data(masked=True)
    ids = torch.arange(data[node].num_nodes)
    diagonal = dense(SimilarityTargets()(data, node, ids, torch.zeros(len(ids), 8))).diagonal()
    bare = definition(data, node, ids).diagonal() == 0  # the item that lacks both, the user without items
    assert 0 < bare.sum() < len(ids) / 2
    torch.testing.assert_close(diagonal, (~bare).float())


def test_half_precision_features_are_compared_in_float32() -> None:
    data = toy.toy_data()
    for name in toy.WIDTHS:
        data["item"][name] = data["item"][name].half()
    ids = torch.tensor([3, 0, 4])
    target = dense(SimilarityTargets(WEIGHTS)(data, "user", ids, torch.zeros(3, 8, dtype=torch.bfloat16)))
    assert target.dtype == torch.float32
    torch.testing.assert_close(target.double(), definition(data, "user", ids), rtol=1e-5, atol=1e-5)


def test_changed_features_change_the_target() -> None:
    data, ids = toy.toy_data(), torch.tensor([3, 0, 4])
    targets, like = SimilarityTargets(WEIGHTS), torch.zeros(3, 8, dtype=torch.float64)
    targets(data, "user", ids, like)
    data["item"].text[0] += 1.0
    torch.testing.assert_close(dense(targets(data, "user", ids, like)), definition(data, "user", ids))


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_kept_goes_with_the_data(masked: bool) -> None:
    data = toy.toy_data(masked=masked)
    SimilarityTargets()(data, "user", torch.tensor([0, 1]), torch.zeros(2, 8))
    features = weakref.ref(data["item"].text.untyped_storage())
    del data
    gc.collect()
    assert features() is None


def test_tables_are_filled_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.models.targets._ROWS_AT_ONCE", 3)
    data, ids = toy.toy_data(masked=True, widths=WIDE), torch.tensor([3, 0, 9, 4, 1, 7, 2])
    for memory_budget in (0, 2**20):
        targets = SimilarityTargets(WEIGHTS, memory_budget=memory_budget)
        target = targets(data, "user", ids, torch.zeros(7, 2, dtype=torch.float64))
        torch.testing.assert_close(dense(target), definition(data, "user", ids))


@pytest.mark.parametrize("node", ["user", "item"])
def test_other_weights_on_the_same_data_are_another_target(node: str) -> None:
    data, ids, like = toy.toy_data(), torch.tensor([3, 0, 4]), torch.zeros(3, 8)
    both = [
        dense(SimilarityTargets(weights)(data, node, ids, like))
        for weights in ({"image": 1.0, "text": 0.0}, {"image": 0.0, "text": 1.0})
    ]
    assert not torch.allclose(*both)


@pytest.mark.parametrize("node", ["user", "item"])
@pytest.mark.parametrize("memory_budget", [0, 2**20])
def test_what_stands_in_absent_rows_does_not_reach_the_target(node: str, memory_budget: int) -> None:
    data = toy.toy_data(widths=WIDE)
    pairs = data["user", "interacts", "item"].edge_index
    mine = pairs[1][pairs[0] == 0]
    absent = {"image": torch.zeros(toy.ITEMS, dtype=torch.bool), "text": torch.zeros(toy.ITEMS, dtype=torch.bool)}
    absent["image"][mine] = True  # user 0 has no image at all
    absent["text"][[n for n in range(toy.ITEMS) if n not in mine][:1]] = True
    for name, rows in absent.items():
        data["item"][f"{name}_mask"] = ~rows
        data["item"][name] = data["item"][name].masked_fill(rows.unsqueeze(1), torch.nan)
    ids = torch.arange(data[node].num_nodes)
    target = dense(SimilarityTargets(WEIGHTS, memory_budget=memory_budget)(data, node, ids, torch.zeros(len(ids), 2)))
    expected = torch.ones(len(ids))
    if node == "user":
        expected[torch.bincount(pairs[0], minlength=len(ids)) == 0] = 0  # without a training item
    torch.testing.assert_close(target.diagonal(), expected)
    assert target.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1 + 1e-6], ids=["cancel", "nearly cancel"])
def test_users_whose_items_cancel_get_no_products_out_of_range(dtype: torch.dtype, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(12, 512, generator=generator)
    x = torch.cat([half, -scale * half])
    pairs = [torch.randperm(24, generator=generator)[:3] for _ in range(360)]
    pairs += [torch.tensor([user % 12, 12 + user % 12]) for user in range(40)]  # an item and its opposite
    item = torch.cat(pairs)
    user = torch.arange(400).repeat_interleave(torch.tensor([len(own) for own in pairs]))
    data = toy.with_edges(400, 24, torch.stack([user, item]), {"text": x})
    target = SimilarityTargets()(data, "user", torch.arange(400), torch.zeros(400, 16, dtype=dtype))
    assert isinstance(target, IndexedSimilarity)
    assert target.dense().abs().max() < 1 + 1e-5  # cosines
    whole = target.dense()[:360, :360].double()
    rows = torch.stack([x[own].double().mean(0) for own in pairs[:360]])
    cosines = torch.nn.functional.cosine_similarity(rows.unsqueeze(1), rows.unsqueeze(0), dim=2)
    kept = rows.norm(dim=1) > 0.1
    torch.testing.assert_close(whole[kept][:, kept], cosines[kept][:, kept], atol=1e-4, rtol=0)


def test_more_users_over_the_same_pairs_are_other_nodes() -> None:
    data, targets = toy.toy_data(), SimilarityTargets()
    targets(data, "user", torch.arange(3), torch.zeros(3, 4))
    more = copy.copy(data)
    more["user"].num_nodes = toy.USERS + 5
    found = targets(more, "user", torch.tensor([toy.USERS + 4, 1]), torch.zeros(2, 4)).dense()
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
