"""The latest row of every pair, against a loop over all rows."""

import math

import numpy as np
import pytest

from drepm_pyg.data.interactions import latest_rows


def reference(user: np.ndarray, item: np.ndarray, time: np.ndarray | None) -> list[int]:
    best: dict[tuple[int, int], int] = {}
    for row, pair in enumerate(zip(user.tolist(), item.tolist(), strict=True)):
        if pair not in best or time is None or not time[row] < time[best[pair]]:
            best[pair] = row
    return sorted(best.values())


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("size", [0, 1, 20, 300])
def test_the_latest_row_of_a_pair_stays(size: int, timed: bool) -> None:
    generator = np.random.default_rng(size)
    user, item = generator.integers(0, 6, (2, size))
    time = generator.integers(0, 4, size) if timed else None  # many are equal: the last one counts
    assert latest_rows(user, item, time).tolist() == reference(user, item, time)


def test_what_has_no_time_is_the_latest() -> None:
    user = item = np.array([3, 3, 3])
    assert latest_rows(user, item, np.array([1.0, math.nan, 2.0])).tolist() == [1]


def test_ids_may_be_as_large_as_numbers_are() -> None:
    large = np.array([2**62, 2**62 + 1, 2**62])
    assert latest_rows(large, large).tolist() == [1, 2]
