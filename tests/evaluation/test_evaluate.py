"""Ranking and metrics against plain Python and against torch_geometric.metrics."""

import math

import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.metrics import LinkPredMAP, LinkPredMRR, LinkPredNDCG, LinkPredPrecision, LinkPredRecall

from drepm_pyg.evaluation import METRICS, HasTables, PerUserMetrics, TopK, evaluate, evaluate_users, topk
from drepm_pyg.models import Representations

USERS, ITEMS, KS = 17, 23, (1, 3, 10)


def make_data(generator: torch.Generator, users: int = USERS, items: int = ITEMS) -> HeteroData:
    cells = torch.randperm((users - 2) * items, generator=generator)[:150]
    pairs = torch.stack([cells // items, cells % items])
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = users, items
    store = data["user", "interacts", "item"]
    store.edge_index, store.val_edge_label_index, store.test_edge_label_index = pairs.split([80, 30, 40], dim=1)
    return data


def tables(generator: torch.Generator, *, coarse: bool = False) -> Representations:
    user, item = torch.randn(USERS, 4, generator=generator), torch.randn(ITEMS, 4, generator=generator)
    return Representations(user.round(), item.round()) if coarse else Representations(user, item)


def plain_ranking(scores: list[float], seen: set[int]) -> list[int]:
    return sorted((i for i in range(len(scores)) if i not in seen), key=lambda i: (-scores[i], i))


def plain_metrics(ranking: list[int], targets: set[int], k: int) -> dict[str, float]:
    hits = [item in targets for item in ranking[:k]]
    gains = [hit / math.log2(rank + 2) for rank, hit in enumerate(hits)]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(targets), k)))
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits)) if hits[rank]]
    return {
        "recall": sum(hits) / len(targets),
        "precision": sum(hits) / k,
        "hit_ratio": float(any(hits)),
        "ndcg": sum(gains) / ideal,
        "map": sum(precisions) / min(len(targets), k),
        "mrr": next((1 / (rank + 1) for rank, hit in enumerate(hits) if hit), 0.0),
    }


@pytest.mark.parametrize("coarse", [False, True], ids=["distinct scores", "many ties"])
@pytest.mark.parametrize("exclude", [(), ("train",), ("train", "val")])
@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_every_metric_matches_its_definition(
    generator: torch.Generator, coarse: bool, exclude: tuple[str, ...], batch_size: int | None
) -> None:
    data, both = make_data(generator), tables(generator, coarse=coarse)
    store = data["user", "interacts", "item"]
    names = {"train": "edge_index", "val": "val_edge_label_index"}
    expected: dict[str, list[float]] = {}
    for user in range(USERS):
        targets = set(store.test_edge_label_index[1, store.test_edge_label_index[0] == user].tolist())
        seen = {i for split in exclude for u, i in store[names[split]].T.tolist() if u == user}
        ranking = plain_ranking((both.user[user] @ both.item.T).tolist(), seen)
        for k in KS if targets else ():
            for name, value in plain_metrics(ranking, targets, k).items():
                expected.setdefault(f"{name}@{k}", []).append(value)
    ours = evaluate(both, data, ks=KS, metrics=list(METRICS), exclude=exclude, batch_size=batch_size)
    assert ours == pytest.approx({name: sum(values) / len(values) for name, values in expected.items()}, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("recall", LinkPredRecall),
        ("ndcg", LinkPredNDCG),
        ("precision", LinkPredPrecision),
        ("map", LinkPredMAP),
        ("mrr", LinkPredMRR),
    ],
)
def test_metrics_agree_with_torch_geometric(generator: torch.Generator, name: str, metric: type) -> None:
    data, both = make_data(generator), tables(generator)
    store = data["user", "interacts", "item"]
    best = topk(both.user, both.item, 10, exclude=store.edge_index)
    users = store.test_edge_label_index[0].unique()
    theirs = metric(10)
    local = torch.searchsorted(users, store.test_edge_label_index[0])
    theirs.update(best.ids[users], torch.stack([local, store.test_edge_label_index[1]]))
    assert evaluate(both, data, metrics=[name])[f"{name}@10"] == pytest.approx(float(theirs.compute()), rel=1e-5)


def test_users_keep_their_values_and_the_mean_is_the_metric(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)
    users = evaluate_users(both, data)
    assert isinstance(users, PerUserMetrics)
    assert users.user.tolist() == data["user", "interacts", "item"].test_edge_label_index[0].unique().tolist()
    assert users.mean() == evaluate(both, data)


def test_score_and_tables_give_the_same_metrics(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)

    class Scorer:
        def score(self, data: HeteroData, user: torch.Tensor) -> torch.Tensor:
            return both.user[user] @ both.item.T

    assert isinstance(both, HasTables)
    assert evaluate(Scorer(), data) == pytest.approx(evaluate(both, data))


def test_topk_orders_ties_by_the_smaller_id() -> None:
    best = topk(torch.ones(2, 1), torch.tensor([[1.0], [2.0], [1.0], [2.0], [1.0]]), 3)
    assert best.ids.tolist() == [[1, 3, 0]] * 2
    assert best.scores.tolist() == [[2.0, 2.0, 1.0]] * 2


def test_topk_pads_where_candidates_run_out() -> None:
    best = topk(torch.ones(2, 1), torch.arange(3.0).unsqueeze(1), 3, exclude=torch.tensor([[0, 0], [2, 0]]))
    assert isinstance(best, TopK)
    assert best.ids.tolist() == [[1, -1, -1], [2, 1, 0]]
    assert best.scores[0, 1:].tolist() == [-math.inf] * 2


def test_blocks_do_not_matter(generator: torch.Generator) -> None:
    both = tables(generator, coarse=True)
    whole = topk(both.user, both.item, 7)
    for batch_size in (1, 5, 100):
        assert torch.equal(topk(both.user, both.item, 7, batch_size=batch_size).ids, whole.ids)


def test_a_model_is_left_in_its_mode(generator: torch.Generator) -> None:
    data = make_data(generator)

    class Model(torch.nn.Module):
        factorized = True

        def forward(self, data: HeteroData) -> Representations:
            assert not self.training
            return tables(torch.Generator().manual_seed(0))

    model = Model().train()
    evaluate(model, data)
    assert model.training


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"ks": (24,)}, r"'k' must be at most the number of items \(got k=24 for 23 items\)"),
        ({"metrics": ("auc",)}, r"'metrics' must be one of 'recall', .* \(got 'auc'\)"),
        ({"split": "dev"}, r"'split' must be one of 'train', 'val', 'test' \(got 'dev'\)"),
    ],
)
def test_bad_arguments_are_named(generator: torch.Generator, arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        evaluate(tables(generator), make_data(generator), **arguments)


@pytest.mark.errors
def test_an_empty_split_and_broken_tables_are_refused(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)
    with pytest.raises(ValueError, match="The tables must have a row per node"):
        evaluate(Representations(both.user[1:], both.item), data)
    both.item[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"'item' holds NaN or infinite values in 1 of 23 rows \(first: \[2\]\)"):
        evaluate(both, data)
    data["user", "interacts", "item"].test_edge_label_index = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(ValueError, match="'split' must have held-out pairs"):
        evaluate(both, data)
