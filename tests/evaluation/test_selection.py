"""The k largest entries of a row, against Python's stable sort."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drepm_pyg.evaluation.selection import largest


def plain(row: list[float], k: int) -> list[int]:
    return sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(),
    rows=st.integers(0, 4),
    columns=st.integers(1, 800),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_order_is_that_of_a_stable_sort(data: st.DataObject, rows: int, columns: int, dtype: torch.dtype) -> None:
    k = min(columns, data.draw(st.sampled_from([1, 2, 9, 30, columns])))
    levels = data.draw(st.sampled_from([1, 3, 50, 10**6]))  # few levels: many ties
    missing = data.draw(st.sampled_from([0.0, 0.3, 0.99]))
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    scores = torch.randint(-levels, levels + 1, (rows, columns), generator=draw).to(dtype)
    scores[torch.rand(rows, columns, generator=draw) < missing] = -math.inf
    values, ids = largest(scores, k)
    assert ids.tolist() == [plain(row, k) for row in scores.tolist()]
    assert torch.equal(values, scores.gather(1, ids))


def test_rows_that_tie_everywhere_lie_beside_rows_that_do_not(generator: torch.Generator) -> None:
    scores = torch.randn(40, 1000, generator=generator)
    scores[::3] = 1.0  # no threshold leaves out anything
    scores[1::3, ::64] = 9.0  # the best lie in one group
    scores[2, :200] = 5.0  # a tie across the border
    values, ids = largest(scores, 10)
    assert ids.tolist() == [plain(row, 10) for row in scores.tolist()]
    assert torch.equal(values, scores.gather(1, ids))


def test_scores_that_lie_apart_in_memory_are_left_as_they_are(generator: torch.Generator) -> None:
    scores = torch.randn(1000, 20, generator=generator).T
    before = scores.clone()
    assert largest(scores, 10)[1].tolist() == [plain(row, 10) for row in before.tolist()]
    assert torch.equal(scores, before)


def test_float64_scores_are_told_apart_where_float32_cannot() -> None:
    scores = 1 + torch.arange(1000, dtype=torch.float64)[None] * 1e-12
    assert largest(scores, 5)[1].tolist() == [[999, 998, 997, 996, 995]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distinct_scores_give_what_topk_gives(dtype: torch.dtype, generator: torch.Generator) -> None:
    scores = torch.rand(50, 3001, generator=generator).argsort().to(dtype)
    for k in (1, 20, 3000, 3001):
        values, ids = largest(scores, k)
        expected = scores.topk(k)
        assert torch.equal(values, expected.values)
        assert torch.equal(ids, expected.indices)


def test_a_row_without_enough_finite_scores_ends_in_real_columns() -> None:
    scores = torch.full((1, 1000), -math.inf)
    scores[0, 999] = 1.0
    assert largest(scores, 3)[1].tolist() == [[999, 0, 1]]


def test_positive_and_negative_zero_are_equal() -> None:
    assert largest(torch.tensor([[-0.0, 0.0, -0.0]]), 2)[1].tolist() == [[0, 1]]
    scores = -torch.arange(1000.0)[None]  # -0.0 in front
    scores[0, 900] = 0.0
    assert largest(scores, 3)[1].tolist() == [[0, 900, 1]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_stay_where_they_are_whatever_the_default_device_is(
    dtype: torch.dtype, generator: torch.Generator
) -> None:
    scores = torch.randn(5, 1000, generator=generator, dtype=dtype)
    with torch.device("meta"):
        values, ids = largest(scores, 10)
    assert ids.tolist() == [plain(row, 10) for row in scores.tolist()]
    assert torch.equal(values, scores.gather(1, ids))
