"""BPR per pair, before a loss reduces it (Eq. 14)."""

import math

import pytest
import torch

from drepm_pyg.nn.functional import bpr


def test_it_is_minus_the_logarithm_of_the_sigmoid_of_the_difference() -> None:
    found = bpr(torch.tensor([2.0, 0.0, -1.0]), torch.tensor([1.0, 0.0, 2.0]))
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-gap)) for gap in (1.0, 0.0, -3.0)])


def test_every_negative_of_a_row_meets_its_positive() -> None:
    positive, negative = torch.tensor([2.0, 0.0]), torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    columns = [bpr(positive, column) for column in negative.T]
    torch.testing.assert_close(bpr(positive, negative), torch.stack(columns, dim=1))


def test_differences_without_bound_give_zero_or_the_difference() -> None:
    assert bpr(torch.tensor([1e4, -1e4]), torch.zeros(2)).tolist() == [0.0, 1e4]
