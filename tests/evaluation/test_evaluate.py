"""evaluate against a ranking and metrics in plain Python."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation import METRICS, HasTables, PerUserMetrics, evaluate, evaluate_users
from drepm_pyg.models import Representations
from tests.evaluation.plain_metrics import plain_metrics

USERS, ITEMS, KS = 17, 23, (1, 3, 10)


def make_data(generator: torch.Generator, users: int = USERS, items: int = ITEMS) -> HeteroData:
    cells = torch.randperm((users - 2) * items, generator=generator)[:150]
    pairs = torch.stack([cells // items, cells % items])
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = users, items
    store = data["user", "interacts", "item"]
    store.edge_index, store.val_edge_label_index, store.test_edge_label_index = pairs.split([80, 30, 40], dim=1)
    return data


def tables(generator: torch.Generator, *, coarse: bool = False, items: int = ITEMS) -> Representations:
    user, item = torch.randn(USERS, 4, generator=generator), torch.randn(items, 4, generator=generator)
    return Representations(user.round(), item.round()) if coarse else Representations(user, item)


def plain_ranking(scores: list[float], seen: set[int]) -> list[int]:
    return sorted((i for i in range(len(scores)) if i not in seen), key=lambda i: (-scores[i], i))


@pytest.mark.parametrize("coarse", [False, True], ids=["distinct scores", "many ties"])
@pytest.mark.parametrize("exclude", [(), ("train",), ("train", "val")])
@pytest.mark.parametrize("batch_size", [None, 1, 4])
@pytest.mark.parametrize("items", [ITEMS, 400])  # whole rows are selected from, and what a threshold leaves
def test_every_metric_matches_its_definition(
    generator: torch.Generator, coarse: bool, exclude: tuple[str, ...], batch_size: int | None, items: int
) -> None:
    data, both = make_data(generator, items=items), tables(generator, coarse=coarse, items=items)
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
    del data["user", "interacts", "item"].edge_index  # of what is not left out nothing need be there
    assert evaluate(Scorer(), data, exclude=()) == pytest.approx(evaluate(both, data, exclude=()))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float16, torch.bfloat16, torch.float64])
def test_scores_may_be_counts_and_of_any_type(generator: torch.Generator, dtype: torch.dtype) -> None:
    data = make_data(generator, items=400)
    counts = torch.randint(50, (data["user"].num_nodes, data["item"].num_nodes), generator=generator)

    class Scorer:
        def __init__(self, scores: torch.Tensor) -> None:
            self.scores = scores

        def score(self, data: HeteroData, user: torch.Tensor) -> torch.Tensor:
            return self.scores[user]

    assert evaluate(Scorer(counts.to(dtype)), data) == evaluate(Scorer(counts.float()), data)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.float64])
def test_the_tables_may_be_of_two_types(generator: torch.Generator, dtype: torch.dtype) -> None:
    """Histories of 0 and 1 times weights, say."""
    data, both = make_data(generator), tables(generator)
    history = (both.user > 0).to(dtype)
    plain = Representations(history.double(), both.item.double())
    assert evaluate(SimpleNamespace(user=history, item=both.item), data) == pytest.approx(evaluate(plain, data))


def test_a_model_is_left_in_its_mode(generator: torch.Generator) -> None:
    data = make_data(generator)

    class Model(torch.nn.Module):
        factorized = True

        def forward(self, data: HeteroData) -> Representations:
            assert not self.training
            return tables(torch.Generator().manual_seed(0))

    model = Model().train()
    model.frozen = torch.nn.BatchNorm1d(3).eval()
    evaluate(model, data)
    assert model.training
    assert not model.frozen.training


def test_a_model_whose_tables_are_not_all_of_it_is_asked_for_scores(generator: torch.Generator) -> None:
    """An nn.Embedding called ``user`` is no table, and tables of a model that is not factorized are not its ranking."""
    data, both = make_data(generator), tables(generator)

    class Biased(torch.nn.Module):
        def __init__(self, tables: bool) -> None:
            super().__init__()
            self.user, self.item = torch.nn.Embedding(USERS, 4), torch.nn.Embedding(ITEMS, 4)
            if tables:
                self.factorized = False
                del self.user, self.item
                self.user, self.item = both.user.flip(0), both.item

        def score(self, data: HeteroData, user: torch.Tensor) -> torch.Tensor:
            return both.user[user] @ both.item.T

    for with_tables in (False, True):
        assert evaluate(Biased(with_tables), data) == pytest.approx(evaluate(both, data))


def test_scores_that_a_model_keeps_are_not_written(generator: torch.Generator) -> None:
    data, kept = make_data(generator), torch.randn(USERS, ITEMS, generator=generator)

    class Table:
        def score(self, data: HeteroData, user: torch.Tensor) -> torch.Tensor:
            return kept[: len(user)]  # a view

    before = kept.clone()
    evaluate(Table(), data)
    assert torch.equal(kept, before)


def test_a_pair_that_stands_twice_counts_once(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)
    store = data["user", "interacts", "item"]
    expected = evaluate(both, data)
    store.test_edge_label_index = torch.cat([store.test_edge_label_index, store.test_edge_label_index[:, :7]], dim=1)
    assert evaluate(both, data) == expected


def test_the_evaluated_split_is_never_left_out(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)
    assert evaluate(both, data, split="val", exclude=("train", "val")) == evaluate(both, data, split="val")
    assert evaluate(both, data, split="train") == evaluate(both, data, split="train", exclude=())
    assert evaluate(both, data, exclude={"train", "val"}) == evaluate(both, data, exclude=("train", "val"))


def test_other_attributes_do_not_matter(generator: torch.Generator) -> None:
    """Only numbers of nodes and pairs are read: no features, no reverse edges, no validation pairs for a test."""
    data, both = make_data(generator), tables(generator)
    expected = evaluate(both, data)
    del data["user", "interacts", "item"].val_edge_label_index
    data["item"].text = torch.full((ITEMS, 2), math.nan)
    assert evaluate(both, data) == expected


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"ks": (24,)}, r"'ks' must be at most the number of items \(got 24 for 23 items\)"),
        ({"ks": ()}, r"'ks' and 'metrics' must name at least one of each \(got \(\) and"),
        ({"metrics": ("auc",)}, r"'metrics' must be one of 'recall', .* \(got 'auc'\)"),
        ({"split": "dev"}, r"'split' must be one of 'train', 'val', 'test' \(got 'dev'\)"),
        ({"exclude": ("valid",)}, r"'exclude' must be one of 'train', 'val', 'test' \(got 'valid'\)"),
    ],
)
def test_bad_arguments_are_named(generator: torch.Generator, arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        evaluate(tables(generator), make_data(generator), **arguments)


@pytest.mark.errors
@pytest.mark.parametrize("arguments", [{"ks": 20}, {"metrics": "recall"}, {"exclude": "train"}, {"exclude": None}])
def test_a_single_value_is_no_list(generator: torch.Generator, arguments: dict[str, object]) -> None:
    ((name, value),) = arguments.items()
    with pytest.raises(TypeError, match=rf"'{name}' must be a list or a tuple \(got {value!r}\)"):
        evaluate(tables(generator), make_data(generator), **arguments)


@pytest.mark.errors
def test_data_without_a_number_of_nodes(generator: torch.Generator) -> None:
    data = make_data(generator)
    del data["item"].num_nodes
    with pytest.raises(ValueError, match=r"data\['item'\].num_nodes is not set"):
        evaluate(tables(generator), data)


@pytest.mark.errors
def test_cut_offs_may_be_narrow_numbers_of_numpy(generator: torch.Generator) -> None:
    data, both = make_data(generator, items=400), tables(generator, items=400)
    assert evaluate(both, data, ks=[np.int8(127)]) == evaluate(both, data, ks=[127])


@pytest.mark.errors
def test_bad_tables_and_scores_are_named(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)
    with pytest.raises(ValueError, match="The tables must have a row per node"):
        evaluate(Representations(both.user[1:], both.item), data)
    for user, item in ((both.user, both.item[:, 1:]), (both.user[:, 0], both.item[:, 0])):
        with pytest.raises(ValueError, match=r"'user' and 'item' must be \[U, D\] and \[I, D\] of one width \(got \["):
            evaluate(Representations(user, item), data)
    with pytest.raises(TypeError, match=r"must have 'user' and 'item' tables or score\(data, user\) \(got dict\)"):
        evaluate({}, data)
    both.item[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"'item' holds NaN or infinite values in 1 of 23 rows \(first: \[2\]\)"):
        evaluate(both, data)

    class Scorer:
        def __init__(self, scores: torch.Tensor) -> None:
            self.scores = scores

        def score(self, data: HeteroData, user: torch.Tensor) -> torch.Tensor:
            return self.scores[user]

    with pytest.raises(ValueError, match=r"must give a score for every item, \[\d+, 23\] \(got \[\d+, 22\]\)"):
        evaluate(Scorer(torch.zeros(USERS, ITEMS - 1)), data)
    with pytest.raises(ValueError, match="must not give NaN"):
        evaluate(Scorer(torch.full((USERS, ITEMS), math.nan)), data)


@pytest.mark.errors
def test_bad_splits_are_named(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)
    store = data["user", "interacts", "item"]
    store.test_edge_label_index = torch.tensor([[0], [ITEMS]])
    with pytest.raises(ValueError, match=r"'test_edge_label_index\[1\]' must hold ids in \[0, 23\) for 23 items"):
        evaluate(both, data)
    store.test_edge_label_index = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(ValueError, match="'split' must have held-out pairs"):
        evaluate(both, data)
    del store.test_edge_label_index
    with pytest.raises(ValueError, match=r"'split' 'test' needs data.*test_edge_label_index, which is missing"):
        evaluate(both, data)


@pytest.mark.errors
def test_data_without_pairs_are_named_and_left_as_they_are(generator: torch.Generator) -> None:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = USERS, ITEMS
    with pytest.raises(ValueError, match=r"'split' 'test' needs data.*test_edge_label_index, which is missing"):
        evaluate(tables(generator), data)
    assert data.edge_types == []


@pytest.mark.errors
def test_arrays_and_data_of_another_kind_are_named(generator: torch.Generator) -> None:
    data, both = make_data(generator), tables(generator)

    class Scorer:
        def __init__(self, convert: Callable[[torch.Tensor], object]) -> None:
            self.convert = convert

        def score(self, data: HeteroData, user: torch.Tensor) -> object:
            return self.convert(both.user[user] @ both.item.T)

    for convert, kind in ((torch.Tensor.numpy, "ndarray"), (torch.Tensor.tolist, "list")):
        with pytest.raises(TypeError, match=rf"score\(data, user\) must give a torch tensor \(got a {kind}\)"):
            evaluate(Scorer(convert), data)
    arrays = SimpleNamespace(user=both.user.numpy(), item=both.item)
    with pytest.raises(
        TypeError, match=r"\(got SimpleNamespace, whose 'user' is a ndarray and 'item' is a Tensor: tables"
    ):
        evaluate(arrays, data)
    with pytest.raises(TypeError, match=r"'data' must be a HeteroData in the library's schema \(got a NoneType\)"):
        evaluate(both, None)
