"""The parts that models share: BPR with L2 on a batch, and the alignment of two lines."""

import math
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from drepm_pyg.models import (
    BM3,
    VBPR,
    BehaviorModalAlignment,
    DRepMRec,
    LightGCN,
    PairwiseObjective,
    Representations,
    Triples,
    WithBMA,
    available_models,
    get_model,
    multimodal,
)
from drepm_pyg.nn import BehaviorEncoder, functional, picked_rows
from drepm_pyg.nn.losses import BMALoss, InfoNCELoss
from tests import toy

TABLES = Representations(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
TRAINED = [name for name in available_models() if get_model(name).trainable]
BATCH = Triples(torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))


def test_objective_by_hand() -> None:
    """Scores 1 and 2; squared norms 5, 1, 1."""
    parts = PairwiseObjective(0.5, l2_form="half_squared")(TABLES, BATCH, regularized=TABLES)
    np.testing.assert_allclose(parts["bpr"].item(), np.log(1 + np.e), rtol=1e-6)
    np.testing.assert_allclose(parts["reg"].item(), 0.5 * (5 + 1 + 1) / 2, rtol=1e-6)
    parts = PairwiseObjective(0.5, l2_form="norm")(TABLES, BATCH, regularized=TABLES)
    np.testing.assert_allclose(parts["reg"].item(), 0.5 * (5**0.5 + 1 + 1), rtol=1e-6)


def test_a_weight_of_zero_computes_no_penalty() -> None:
    broken = Representations(TABLES.user * torch.nan, TABLES.item)
    assert PairwiseObjective(0.0, l2_form="norm")(TABLES, BATCH, regularized=broken)["reg"] == 0


def test_alignment_is_what_the_plug_in_adds() -> None:
    torch.manual_seed(0)
    data = toy.toy_data()
    model, batch, bma = DRepMRec.from_data(data, embedding_dim=4), toy.toy_batch(data), BMALoss(0.2, 0.3, 0.4)
    direct = BehaviorModalAlignment(bma)(model(data), data, batch)
    added = WithBMA(model, bma).loss(data, batch).parts
    assert {f"bma_{name}": part.item() for name, part in direct.items()} == {
        name: part.item() for name, part in added.items() if name.startswith("bma_")
    }


@pytest.mark.parametrize("share", [0.0, 1e9], ids=["whole products", "rows picked before"])
@pytest.mark.parametrize("model_class", [LightGCN, DRepMRec])
def test_losses_of_the_batchs_rows_are_those_of_the_tables(
    model_class: type[LightGCN] | type[DRepMRec], share: float
) -> None:
    data = toy.toy_data(masked=True)
    batch = toy.toy_batch(data)
    batch = Triples(*(ids[:7] for ids in batch.tensors()))
    torch.manual_seed(0)
    model = model_class.from_data(data, embedding_dim=4, num_layers=3, reg=0.1).double()
    line = model.encoder if isinstance(model, LightGCN) else model.behavior_line
    ego = Representations(line.user_embedding.weight, line.item_embedding.weight)
    with patch.object(picked_rows, "_pays", lambda picked, entries: picked <= share * entries):
        ours = model.loss(data, batch)
    parts = model.objective(model(data), batch, regularized=ego)
    if isinstance(model, DRepMRec):
        parts |= model.alignment(model(data), data, batch)
    torch.testing.assert_close(ours.parts, parts)
    expected = torch.autograd.grad(sum(parts.values()), list(model.parameters()))
    torch.testing.assert_close(torch.autograd.grad(ours.total, list(model.parameters())), expected)


def test_intra_alignment_is_info_nce_in_both_lines(generator: torch.Generator) -> None:
    bu, bi, mu, mi = torch.randn(4, 5, 3, generator=generator)
    both = functional.intra_alignment(behavior_user=bu, behavior_item=bi, modal_user=mu, modal_item=mi)
    torch.testing.assert_close(both, functional.info_nce(bu, bi) + functional.info_nce(mu, mi))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (([0, 1], [3], [4, 5]), r"'positive' must have the shape of 'user' \(got \[1\], expected \[2\]\)"),
        (([0, 1], [3, 4], [4, 5, 6]), r"'negative' must have the shape of 'user' \(got \[3\]"),
        (([], [], []), r"'user' must be a vector of at least one id \(got the shape \[0\]\)"),
        (([[0]], [[0]], [[0]]), r"'user' must be a vector of at least one id \(got the shape \[1, 1\]\)"),
    ],
)
def test_triples_that_do_not_belong_together_are_refused(ids: tuple[list[int], ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Triples(*(torch.tensor(part, dtype=torch.long) for part in ids))


@pytest.mark.errors
@pytest.mark.parametrize("place", [0, 1, 2])
def test_triples_are_tensors_of_integers(place: int) -> None:
    parts: list[Any] = [torch.tensor([0])] * 3
    for wrong, text in (
        ([0], r"must be a torch tensor \(got a list\)"),
        (torch.tensor([0.0]), r"must hold integer ids \(got torch.float32\)"),
        (torch.tensor([True]), r"must hold integer ids \(got torch.bool\)"),
    ):
        parts[place] = wrong
        with pytest.raises(TypeError, match=f"'{('user', 'positive', 'negative')[place]}' {text}"):
            Triples(*parts)


@pytest.mark.errors
@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (([toy.USERS], [0], [1]), r"'user' must hold ids in \[0, 13\) for 13 users \(got 13 to 13\)"),
        (([0], [400], [1]), r"'positive' must hold ids in \[0, 11\) for 11 items \(got 400 to 400\)"),
        (([-1], [0], [1]), r"'user' must hold ids in .* \(got -1 to -1\)"),
        (([0], [-1], [1]), r"'positive' must hold ids in .* \(got -1 to -1\)"),
    ],
)
def test_a_loss_names_ids_out_of_range(name: str, ids: tuple[list[int], ...], text: str) -> None:
    data = toy.toy_data()
    with pytest.raises(ValueError, match=text):
        get_model(name).from_data(data).loss(data, Triples(*map(torch.tensor, ids)))


@pytest.mark.errors
@pytest.mark.parametrize("name", [name for name in TRAINED if name != "bm3"])  # which reads no negatives
@pytest.mark.parametrize("wrong", [toy.ITEMS, -1])
def test_a_loss_names_negatives_out_of_range(name: str, wrong: int) -> None:
    data = toy.toy_data()
    batch = Triples(torch.tensor([0]), torch.tensor([0]), torch.tensor([wrong]))
    with pytest.raises(ValueError, match=rf"'negative' must hold ids in \[0, 11\) .* \(got {wrong} to {wrong}\)"):
        get_model(name).from_data(data).loss(data, batch)


def test_alignment_reads_the_graphs_of_its_model() -> None:
    assert WithBMA(DRepMRec.from_data(toy.toy_data()), BMALoss(0.1, 0.1, 0.1)).graph_nodes == ("item", "user")


@pytest.mark.errors
def test_an_id_below_zero_is_no_user() -> None:
    data = toy.toy_data()
    with pytest.raises(ValueError, match=r"'user' must hold ids in .* \(got -1 to -1\)"):
        LightGCN.from_data(data).score(data, torch.tensor([-1]))


class DoubledLightGCN(LightGCN):
    def forward(self, data: HeteroData) -> Representations:
        tables = super().forward(data)
        return Representations(2 * tables.user, tables.item)


class DoubledDRepMRec(DRepMRec):
    def forward(self, data: HeteroData) -> Representations:
        tables = vars(super().forward(data))
        return Representations(**{name: 2 * x if name.endswith("user") else x for name, x in tables.items()})


class DoubledEncoder(BehaviorEncoder):
    def forward(self, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        user, item = super().forward(edge_index)
        return 2 * user, item


class ForwardAlone(torch.nn.Module):
    """An encoder of one's own: tables and a forward, and no ``at``."""

    def __init__(self) -> None:
        super().__init__()
        self.user_embedding, self.item_embedding = torch.nn.Embedding(toy.USERS, 4), torch.nn.Embedding(toy.ITEMS, 4)

    def forward(self, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        return 3 * self.user_embedding.weight, self.item_embedding.weight


def hooked(model: torch.nn.Module) -> None:
    def double(_module: torch.nn.Module, _args: Any, out: Any) -> Any:
        if isinstance(out, Representations):
            return Representations(**{name: x if x is None else 2 * x for name, x in vars(out).items()})
        return tuple(2 * x for x in out)

    model.register_forward_hook(double)


class DoubledObjective(PairwiseObjective):
    def forward(self, tables: Representations, batch: Triples, *, regularized: Representations) -> dict[str, Tensor]:
        parts = super().forward(tables, batch, regularized=regularized)
        return {name: 2 * part for name, part in parts.items()}


def line_of(model: LightGCN | DRepMRec) -> str:
    return "encoder" if isinstance(model, LightGCN) else "behavior_line"


CHANGES: dict[str, Any] = {
    "overridden": lambda model: setattr(
        model, "__class__", DoubledLightGCN if isinstance(model, LightGCN) else DoubledDRepMRec
    ),
    "set on the model": lambda model: setattr(
        model, "forward", lambda data, plain=model.forward: replace(plain(data), user=2 * plain(data).user)
    ),
    "hook on the model": hooked,
    "hook on the encoder": lambda model: hooked(getattr(model, line_of(model))),
    "overridden encoder": lambda model: setattr(getattr(model, line_of(model)), "__class__", DoubledEncoder),
    "hook on the convolution": lambda model: getattr(model, line_of(model)).conv.register_forward_hook(
        lambda _module, _args, x: 2 * x
    ),
    "overridden objective": lambda model: setattr(model.objective, "__class__", DoubledObjective),
    "encoder without at": lambda model: setattr(model, line_of(model), ForwardAlone().double()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("model_class", [LightGCN, DRepMRec])
def test_a_model_trains_by_what_it_ranks_by(model_class: type[LightGCN] | type[DRepMRec], change: Any) -> None:
    data = toy.toy_data()
    batch = Triples(*(ids[:7] for ids in toy.toy_batch(data).tensors()))
    torch.manual_seed(0)
    model = model_class.from_data(data, embedding_dim=4, reg=0.1).double()
    before = model.loss(data, batch).parts["bpr"]
    change(model)
    line, tables = getattr(model, line_of(model)), model(data)
    first = Representations(line.user_embedding.weight, line.item_embedding.weight)
    expected = model.objective(tables, batch, regularized=first)
    if isinstance(model, DRepMRec):
        expected |= model.alignment(tables, data, batch)
    found = model.loss(data, batch)
    torch.testing.assert_close(found.parts, expected)
    assert found.parts["bpr"] != before


@pytest.mark.parametrize("part", ["modal_line.conv", "alignment"])
def test_a_hook_on_a_part_of_the_modal_line_reaches_the_loss(part: str) -> None:
    data = toy.toy_data()
    model, batch = DRepMRec.from_data(data, embedding_dim=4, gamma=0.5), toy.toy_batch(data)
    before = model.loss(data, batch).total

    def triple(_module: torch.nn.Module, _args: Any, out: Any) -> Any:
        return 3 * out if isinstance(out, Tensor) else {name: 3 * x for name, x in out.items()}

    model.get_submodule(part).register_forward_hook(triple)
    first = Representations(model.behavior_line.user_embedding.weight, model.behavior_line.item_embedding.weight)
    expected = model.objective(model(data), batch, regularized=first) | model.alignment(model(data), data, batch)
    found = model.loss(data, batch)
    torch.testing.assert_close(found.parts, expected)
    assert found.total != before


def test_vbpr_trains_by_an_objective_of_ones_own() -> None:
    data = toy.toy_data()
    model, batch = VBPR.from_data(data, embedding_dim=4), toy.toy_batch(data)
    model.objective.__class__ = DoubledObjective
    tables = model(data)
    torch.testing.assert_close(model.loss(data, batch).parts, model.objective(tables, batch, regularized=tables))


def test_a_modal_line_of_ones_own_needs_no_rows() -> None:
    class Constant(torch.nn.Module):
        def forward(self, id_user: Tensor, id_item: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
            return 2 * id_user, 3 * id_item

    data = toy.toy_data()
    model, batch = DRepMRec.from_data(data, embedding_dim=4), toy.toy_batch(data)
    model.modal_line = Constant()
    assert torch.equal(model(data).modal_item, 3 * model.behavior_line.item_embedding.weight)
    expected = model.alignment(model(data), data, batch)
    torch.testing.assert_close({name: model.loss(data, batch).parts[name] for name in expected}, expected)


@pytest.mark.parametrize("name", ["vbpr", "freedom", "dualgnn", "bm3"])
def test_shorter_ways_give_the_loss_and_the_gradients_of_the_tables(name: str) -> None:
    """A subclass that overrides forward, if only to call it, takes the tables."""
    data = toy.toy_data(masked=True)
    batch = Triples(*(ids[:4] for ids in toy.toy_batch(data).tensors()))
    kwargs = {"reg": 0.1, "dropout": 0.0} if name in ("freedom", "bm3") else {"reg": 0.1}
    whole = type("Whole", (get_model(name),), {"forward": lambda self, data: get_model(name).forward(self, data)})
    results = []
    for model_class, worth in ((get_model(name), 0.0), (get_model(name), math.inf), (whole, math.inf)):
        torch.manual_seed(0)
        model = model_class.from_data(data, **kwargs).double()
        with patch.object(multimodal, "_WORTH", worth):
            output = model.loss(data, batch)
        output.total.backward()
        results.append((output.parts, {name: p.grad for name, p in model.named_parameters()}))
    for result in results[:-1]:
        torch.testing.assert_close(result, results[-1])


def test_items_that_a_batch_names_are_looked_up_where_they_are_few() -> None:
    batch = Triples(torch.tensor([0, 0, 1]), torch.tensor([5, 5, 2]), torch.tensor([7, 2, 5]))
    table = torch.arange(20.0).view(10, 2)
    for num_items, rows in ((6, 3), (5, 10)):  # three items are named
        named = multimodal.NamedItems(batch, num_items)
        found = named.of_each({"text": table})["text"]
        assert len(found) == rows
        assert torch.equal(named.rows_of(found), table[batch.items])


def test_weights_of_the_modalities_reach_the_target() -> None:
    data = toy.toy_data()
    torch.manual_seed(0)
    models = [
        DRepMRec.from_data(data, embedding_dim=4, gamma=1.0, weights=w) for w in (None, {"image": 1.0, "text": 0.0})
    ]
    models[1].load_state_dict(models[0].state_dict())
    assert models[1].alignment.targets.weights == {"image": 1.0, "text": 0.0}
    tables, batch = models[0](data), toy.toy_batch(data)
    parts = [model.alignment(tables, data, batch)["sss"] for model in models]
    assert not torch.isclose(*parts, rtol=1e-3)


@pytest.mark.errors
def test_a_model_of_ones_own_keeps_the_line_that_bm3_compares_with() -> None:
    class Bare(BM3):
        def forward(self, data: HeteroData) -> Representations:
            tables = super().forward(data)
            return Representations(tables.user, tables.item)

    data = toy.toy_data()
    with pytest.raises(ValueError, match=r"BM3's loss compares with the behaviour line.*Return them, too"):
        Bare.from_data(data).loss(data, toy.toy_batch(data))


def test_bm3_trains_by_what_it_ranks_by() -> None:
    class Negated(BM3):
        def forward(self, data: HeteroData) -> Representations:
            tables = super().forward(data)
            return replace(tables, user=-tables.user)

    data = toy.toy_data()
    batch, parts = toy.toy_batch(data), []
    for model_class in (BM3, Negated):
        torch.manual_seed(0)
        parts.append(model_class.from_data(data, dropout=0.0).loss(data, batch).parts)
    assert not torch.isclose(parts[0]["rec"], parts[1]["rec"])
    assert torch.isclose(parts[0]["align"], parts[1]["align"])


@pytest.mark.errors
def test_an_alignment_needs_its_loss() -> None:
    for wrong, kind in ((0.1, "float"), (InfoNCELoss(), "InfoNCELoss")):
        with pytest.raises(TypeError, match=rf"'bma' must be a BMALoss \(got a {kind}\)\. Pass BMALoss\(alpha"):
            BehaviorModalAlignment(wrong)


def test_without_any_weight_no_line_is_needed() -> None:
    parts = BehaviorModalAlignment(BMALoss(0.0, 0.0, 0.0))(TABLES, toy.toy_data(), BATCH)
    assert parts == {"intra": 0, "inter": 0, "sss": 0}
