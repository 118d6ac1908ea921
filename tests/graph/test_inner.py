"""Inner products of pairs, each from its two rows alone."""

import numpy as np
import pytest

from drepm_pyg.graph import inner
from drepm_pyg.graph.inner import inner_products, pair_sums


def pairs(rng: np.random.Generator, num_rows: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    key = np.unique(rng.integers(num_rows**2, size=count))
    return key // num_rows, key % num_rows


def sums(left: np.ndarray, right: np.ndarray, rows: np.ndarray) -> np.ndarray:
    panels = [slice(0, 20), slice(20, rows.shape[1])]
    return pair_sums(left, right, len(rows), lambda panel: np.ascontiguousarray(rows[:, panel]), panels)


@pytest.mark.parametrize("near", [7, 100, 1 << 14])
@pytest.mark.parametrize("count", [1, 2000])
def test_sums_of_pairs(near: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "_NEAR", near)
    rng = np.random.default_rng(0)
    rows, (left, right) = rng.standard_normal((100, 33)), pairs(rng, 100, count)
    ends = rows[left], rows[right]
    expected = [inner_products(*ends), *(inner_products(end, end) for end in ends)]
    np.testing.assert_allclose(sums(left, right, rows), expected, rtol=1e-12, atol=1e-12)


def test_no_other_pair_changes_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, (left, right) = rng.standard_normal((300, 64)), pairs(rng, 300, 5000)
    found = sums(left, right, rows)
    monkeypatch.setattr(inner, "_NEAR", 50)
    assert np.array_equal(sums(left[100:900], right[100:900], rows), found[:, 100:900])
    order = rng.permutation(300)
    place = np.argsort(order)  # of each row in a table in another order
    turned = np.lexsort((place[left], place[right]))  # and the other way round
    again = sums(place[right][turned], place[left][turned], rows[order])
    assert np.array_equal(again, found[:, turned][[0, 2, 1]])


def test_a_row_times_itself_is_its_squared_norm() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 77))
    rows = np.concatenate([rows, 4 * rows])
    left, right = np.arange(50), np.arange(50, 100)
    product, own, other = sums(left, right, rows)
    assert np.array_equal(product, 4 * own)
    assert np.array_equal(product, other / 4)
    assert np.array_equal(sums(left, left, rows)[0], own)


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_sparse_tensors() -> None:
    sums(np.array([0]), np.array([1]), np.ones((2, 30)))
