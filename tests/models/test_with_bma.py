"""BMA as a plug-in: nothing of the wrapped model changes, and what is added is what DRepMRec adds."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models import (
    FREEDOM,
    VBPR,
    DRepMRec,
    ItemKNN,
    LightGCN,
    LossOutput,
    RecommenderModel,
    Representations,
    Triples,
    WithBMA,
    get_model,
)
from drepm_pyg.nn.losses import BMALoss, InfoNCELoss
from tests import cases, toy

#: The models of the library that have a behaviour and a modal line.
TWO_LINES = ["bm3", "drepmrec", "dualgnn", "freedom", "mgcn", "mmgcn", "vbpr"]


def bare(data: HeteroData, **kwargs: Any) -> DRepMRec:
    """DRepMRec without any alignment: a model with two lines and a plain BPR loss."""
    torch.manual_seed(0)
    return DRepMRec.from_data(data, embedding_dim=8, **{"alpha": 0.0, "beta": 0.0, "gamma": 0.0, **kwargs})


class TestWrappedModel(cases.TrainedModelCase):
    cls = DRepMRec

    def build(self, data: HeteroData, seed: int = 0, **kwargs: Any) -> RecommenderModel:
        torch.manual_seed(seed)
        return WithBMA(bare(data, **kwargs), BMALoss(0.1, 0.1, 0.1)).eval()


class NoisyModel(RecommenderModel):
    """Two lines behind dropout, so that a second forward pass would be seen."""

    def __init__(self) -> None:
        super().__init__(toy.USERS, toy.ITEMS)
        self.users = torch.nn.Parameter(torch.randn(toy.USERS, 8))
        self.items = torch.nn.Parameter(torch.randn(toy.ITEMS, 8))
        self.calls = 0

    def forward(self, data: HeteroData) -> Representations:
        self.calls += 1
        user, item = (torch.nn.functional.dropout(x, 0.5, self.training) for x in (self.users, self.items))
        return Representations(user, item, user[:, :4], item[:, :4], user[:, 4:], item[:, 4:])

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        user, positive, negative = batch.rows(self(data).user, self(data).item)
        return LossOutput.from_parts(bpr=-(user * (positive - negative)).sum(1).sigmoid().log().mean())


@pytest.mark.parametrize("make", [bare, lambda data: NoisyModel()], ids=["DRepMRec", "with dropout"])
def test_weights_of_zero_are_bit_equal_to_the_model_alone(make: Any) -> None:
    data = toy.toy_data()
    batch, results = toy.toy_batch(data), []
    for wrap in (False, True):
        torch.manual_seed(1)
        model = make(data)
        outer = WithBMA(model, BMALoss(0.0, 0.0, 0.0)) if wrap else model
        optimizer = torch.optim.Adam(outer.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            total = outer.loss(data, batch).total
            total.backward()
            optimizer.step()
        results.append((total.detach(), *(p.detach() for p in model.parameters())))
    assert all(torch.equal(alone, wrapped) for alone, wrapped in zip(*results, strict=True))


def test_it_adds_what_drepmrec_adds() -> None:
    data = toy.toy_data(masked=True)
    batch = toy.toy_batch(data)
    weights = {"alpha": 0.3, "beta": 0.2, "gamma": 0.5}
    whole = bare(data, **weights).loss(data, batch)
    wrapped = WithBMA(bare(data), BMALoss(**weights)).loss(data, batch)
    torch.testing.assert_close(wrapped.total, whole.total)
    for name in ("intra", "inter", "sss"):
        torch.testing.assert_close(wrapped.parts[f"bma_{name}"], whole.parts[name])
    assert wrapped.parts["bpr"] == whole.parts["bpr"]


def test_intra_alone_leaves_the_other_parts_at_zero() -> None:
    data = toy.toy_data()
    parts = WithBMA(bare(data), BMALoss(0.1, 0.0, 0.0)).loss(data, toy.toy_batch(data)).parts
    assert parts["bma_intra"] > 0
    assert parts["bma_inter"] == parts["bma_sss"] == 0


def test_the_model_is_propagated_once_a_loss() -> None:
    data = toy.toy_data()
    model, alone = NoisyModel(), NoisyModel()
    WithBMA(model, BMALoss(0.1, 0.1, 0.1)).loss(data, toy.toy_batch(data))
    alone.loss(data, toy.toy_batch(data))
    assert model.calls == alone.calls


@pytest.mark.parametrize("name", TWO_LINES)
def test_every_model_with_two_lines_is_aligned_under_autocast(name: str) -> None:
    data = toy.toy_data()
    torch.manual_seed(0)
    model = WithBMA(get_model(name).from_data(data), BMALoss(0.1, 0.1, 0.1))
    batch = toy.toy_batch(data)
    expected = model.eval().loss(data, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model.loss(data, batch)
    assert {"bma_intra", "bma_inter", "bma_sss"} <= set(output.parts)
    torch.testing.assert_close(output.total.float(), expected.total, rtol=5e-2, atol=5e-2)
    output.total.backward()


def test_it_ranks_as_the_model_does() -> None:
    data = toy.toy_data()
    model = bare(data)
    wrapped, user = WithBMA(model, BMALoss(0.1, 0.1, 0.1)), torch.tensor([1, 4])
    assert torch.equal(wrapped(data).user, model(data).user)
    assert torch.equal(wrapped.score(data, user), model.score(data, user))
    assert wrapped.factorized is True


@pytest.mark.errors
def test_a_model_without_a_modal_line_is_refused() -> None:
    data = toy.toy_data()
    wrapped = WithBMA(LightGCN.from_data(data), BMALoss(0.1, 0.0, 0.0))
    with pytest.raises(ValueError, match="no 'behavior_user' and 'behavior_item'"):
        wrapped.loss(data, toy.toy_batch(data))


@pytest.mark.errors
def test_a_model_without_training_is_refused() -> None:
    with pytest.raises(ValueError, match="'model' must be a model with a training loss \\(got ItemKNN\\)"):
        WithBMA(ItemKNN(3, 4), BMALoss(0.1, 0.0, 0.0))


@pytest.mark.errors
def test_a_plain_module_is_sent_to_the_loss() -> None:
    with pytest.raises(TypeError, match=r"'model' must be a RecommenderModel \(got Linear\)\. Add a BMALoss"):
        WithBMA(torch.nn.Linear(2, 2), BMALoss(0.1, 0.0, 0.0))  # type: ignore[arg-type]


@pytest.mark.errors
def test_from_data_needs_the_inner_model() -> None:
    with pytest.raises(ValueError, match=r"needs the inner 'model' \(got \['alpha'\]\)"):
        WithBMA.from_data(toy.toy_data(), alpha=0.1)


@pytest.mark.errors
def test_bad_options_are_refused_when_built() -> None:
    model = bare(toy.toy_data())
    with pytest.raises(ValueError, match=r"'weights' must sum to 1 \(got \{'image': 2.0\}\)"):
        WithBMA(model, BMALoss(0.1, 0.1, 0.1), weights={"image": 2.0})
    with pytest.raises(TypeError, match=r"'mask_false_negatives' must be True or False \(got 'no'\)"):
        WithBMA(model, BMALoss(0.1, 0.1, 0.1), mask_false_negatives="no")


@pytest.mark.errors
def test_arguments_of_another_kind_are_named() -> None:
    model = VBPR.from_data(toy.toy_data())
    for bma, kind in ((0.1, "float"), (InfoNCELoss(), "InfoNCELoss")):
        with pytest.raises(TypeError, match=rf"'bma' must be a BMALoss \(got a {kind}\)"):
            WithBMA(model, bma)
    with pytest.raises(TypeError, match=r"'model' must be built \(got the class VBPR\)\. Pass VBPR.from_data\(data\)"):
        WithBMA(VBPR, BMALoss(0.1, 0.1, 0.1))
    with pytest.raises(TypeError, match=r"'batch' must be Triples"):
        WithBMA(model, BMALoss(0.1, 0.1, 0.1)).loss(toy.toy_data(), (torch.tensor([0]),) * 3)


def test_before_an_epoch_the_model_prunes_its_graph() -> None:
    data = toy.toy_data()
    wrapped = WithBMA(FREEDOM.from_data(data, dropout=0.5), BMALoss(0.1, 0.1, 0.1)).train()
    wrapped.before_epoch(data, torch.Generator().manual_seed(0))
    assert wrapped.model._kept.size(1) == 22  # half of 45


@pytest.mark.parametrize("model_class", [VBPR, DRepMRec, FREEDOM])
@pytest.mark.parametrize(("weight", "calls"), [(0.1, 1), (0.0, 0)])
def test_tables_are_made_once_where_they_are_aligned(
    model_class: type[RecommenderModel], weight: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, made = toy.toy_data(), []
    model = model_class.from_data(data)
    monkeypatch.setattr(Representations, "__init__", counting(Representations.__init__, made))
    WithBMA(model, BMALoss(weight, weight, weight)).loss(data, toy.toy_batch(data))
    assert sum(len(lines) == 6 for lines in made) == calls


def counting(init: Any, made: list[tuple[Any, ...]]) -> Any:
    def __init__(self: Representations, *lines: Any) -> None:
        made.append(lines)
        init(self, *lines)

    return __init__
