"""Layers and losses under forward-mode AD: dual numbers take the same slopes as differences."""

from collections.abc import Callable

import pytest
import torch

from drepm_pyg.nn import BehaviorEncoder, ModalEncoder
from drepm_pyg.nn.losses import (
    BMALoss,
    InfoNCELoss,
    InterAlignmentLoss,
    IntraAlignmentLoss,
    SimilaritySupervisedLoss,
)
from drepm_pyg.typing import Tensor

USERS, ITEMS, ROWS, WIDTH = 6, 5, 6, 3
PAIRS = torch.tensor([[0, 0, 1, 2, 3, 4, 5, 5], [0, 3, 1, 2, 4, 0, 1, 2]])
LINES = ("behavior_user", "behavior_item", "modal_user", "modal_item")
SIMILARITY = torch.eye(ROWS, dtype=torch.float64).roll(1, 0) / 2 + torch.eye(ROWS, dtype=torch.float64)
IDS = {"user": torch.tensor([0, 1, 1, 2, 3, 0]), "item": torch.tensor([0, 2, 1, 2, 3, 3])}


def ring(size: int) -> Tensor:
    """Every node is the neighbour of the next one, and its own."""
    nodes = torch.arange(size)
    return torch.stack([torch.cat([nodes, nodes.roll(1)]), nodes.repeat(2)])


def of_lines(loss: torch.nn.Module, **given: object) -> Callable[..., Tensor]:
    return lambda *rows: loss(**dict(zip(LINES, rows, strict=True)), **given)


LOSSES = {
    "InfoNCE": (InfoNCELoss(), 2),
    "intra": (of_lines(IntraAlignmentLoss()), 4),
    "inter": (of_lines(InterAlignmentLoss()), 4),
    "SSS": (lambda rows: SimilaritySupervisedLoss()(rows, SIMILARITY), 1),
    "SSS of norms": (lambda rows: SimilaritySupervisedLoss(metric="dot", reduction="frobenius")(rows, SIMILARITY), 1),
    "BMA": (
        of_lines(BMALoss(0.1, 0.1, 0.1), **IDS, user_similarity=SIMILARITY, item_similarity=SIMILARITY),
        4,
    ),
}


def tables(generator: torch.Generator, *rows: int) -> list[Tensor]:
    return [torch.randn(n, WIDTH, generator=generator, dtype=torch.float64, requires_grad=True) for n in rows]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_forward_derivatives(name: str, generator: torch.Generator) -> None:
    loss, inputs = LOSSES[name]

    def value(*rows: Tensor) -> Tensor:
        found = loss(*rows)
        return found.total if name == "BMA" else found

    assert torch.autograd.gradcheck(value, tables(generator, *[ROWS] * inputs), check_forward_ad=True)


def test_encoders_have_forward_derivatives(generator: torch.Generator) -> None:
    behavior = BehaviorEncoder(USERS, ITEMS, WIDTH).double()
    modal = ModalEncoder({"text": 4}, WIDTH).double()
    raw = torch.randn(ITEMS, 4, generator=generator, dtype=torch.float64)
    graphs = {"text": ring(ITEMS)}, {"text": ring(USERS)}
    for encode in (
        lambda user, item: behavior.propagate(user, item, PAIRS),
        lambda user, item: modal(user, item, {"text": raw}, PAIRS, *graphs),
    ):
        assert torch.autograd.gradcheck(encode, tables(generator, USERS, ITEMS), check_forward_ad=True)
