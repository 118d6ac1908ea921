"""What every model gives: tables, and the lines they came from."""

import torch

from drepm_pyg.models import Representations

GENERAL, BEHAVIOR, MODAL = ((torch.full((2, 1), value), torch.full((3, 1), -value)) for value in (1.0, 2.0, 3.0))


def test_lines_are_the_general_tables_then_the_behavior_then_the_modal_line() -> None:
    tables = Representations(*GENERAL, *BEHAVIOR, *MODAL)
    lines = tables.lines()
    assert list(lines) == ["general", "behavior", "modal"]
    assert lines["general"] is tables
    assert (lines["behavior"].user, lines["behavior"].item) == BEHAVIOR
    assert (lines["modal"].user, lines["modal"].item) == MODAL


def test_a_line_that_the_model_does_not_have_is_left_out() -> None:
    assert list(Representations(*GENERAL).lines()) == ["general"]
    assert list(Representations(*GENERAL, *BEHAVIOR).lines()) == ["general", "behavior"]
    assert list(Representations(*GENERAL, modal_user=MODAL[0], modal_item=MODAL[1]).lines()) == ["general", "modal"]
    assert list(Representations(*GENERAL, modal_user=MODAL[0]).lines()) == ["general"]
