"""The parts that models share: BPR with L2 on a batch, and the alignment of two lines."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from drepm_pyg.models import (
    BehaviorModalAlignment,
    DRepMRec,
    LightGCN,
    PairwiseObjective,
    Representations,
    Triples,
    WithBMA,
    available_models,
    get_model,
)
from drepm_pyg.nn import functional, picked_rows
from drepm_pyg.nn.losses import BMALoss
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
    with patch.object(picked_rows, "_SHARE", share):
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
