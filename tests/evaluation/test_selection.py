"""The k largest entries of a row, against Python's stable sort."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drepm_pyg.evaluation.selection import in_panels, largest, num_panels
from drepm_pyg.typing import Tensor


def plain(row: list[float], k: int) -> list[int]:
    return sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]


def select(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    return largest(in_panels(scores, num_panels(scores.size(1), k)), k)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=st.integers(0, 4), columns=st.integers(1, 200))
def test_the_order_is_that_of_a_stable_sort(data: st.DataObject, rows: int, columns: int) -> None:
    k = data.draw(st.integers(1, columns))
    levels = data.draw(st.sampled_from([1, 3, 50, 10**6]))  # few levels: many ties
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    scores = torch.randint(-levels, levels + 1, (rows, columns), generator=draw).float()
    scores[torch.rand(rows, columns, generator=draw) < 0.3] = -math.inf
    values, ids = select(scores, k)
    assert ids.tolist() == [plain(row, k) for row in scores.tolist()]
    assert torch.equal(values, scores.gather(1, ids))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distinct_scores_give_what_topk_gives(dtype: torch.dtype, generator: torch.Generator) -> None:
    scores = torch.rand(50, 3001, generator=generator).argsort().to(dtype)
    for k in (1, 20, 3000, 3001):
        values, ids = select(scores, k)
        expected = scores.topk(k)
        assert torch.equal(values, expected.values)
        assert torch.equal(ids, expected.indices)


def test_a_row_without_enough_finite_scores_ends_in_real_columns() -> None:
    scores = torch.full((1, 1000), -math.inf)
    scores[0, 999] = 1.0
    assert select(scores, 3)[1].tolist() == [[999, 0, 1]]


def test_positive_and_negative_zero_are_equal() -> None:
    assert select(torch.tensor([[-0.0, 0.0, -0.0]]), 2)[1].tolist() == [[0, 1]]


@pytest.mark.parametrize(("columns", "k"), [(1, 1), (7, 7), (100, 1), (101, 3), (7050, 50)])
def test_panels_are_wide_enough_and_none_is_empty(columns: int, k: int) -> None:
    count = num_panels(columns, k)
    panels = in_panels(torch.arange(columns).float().expand(2, -1), count)
    assert panels.size(2) >= k
    assert (panels > -math.inf).any(dim=2).all()
