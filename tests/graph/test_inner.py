"""Inner products of pairs, each from its two rows alone."""

import numpy as np
import pytest

from drepm_pyg.graph import inner
from drepm_pyg.graph.inner import PairProducts, inner_products


def pairs(rng: np.random.Generator, num_rows: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    key = np.unique(rng.integers(num_rows**2, size=count))
    return key // num_rows, key % num_rows


@pytest.mark.parametrize("near", [7, 100, 1 << 14])
@pytest.mark.parametrize("count", [1, 2000])
def test_products_of_pairs(near: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "_NEAR", near)
    rng = np.random.default_rng(0)
    rows, (left, right) = rng.standard_normal((100, 33)), pairs(rng, 100, count)
    np.testing.assert_allclose(
        PairProducts(left, right, 100)(rows), inner_products(rows[left], rows[right]), atol=1e-12
    )


def test_no_other_pair_changes_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, (left, right) = rng.standard_normal((300, 64)), pairs(rng, 300, 5000)
    found = PairProducts(left, right, 300)(rows)
    monkeypatch.setattr(inner, "_NEAR", 50)
    assert np.array_equal(PairProducts(left[100:900], right[100:900], 300)(rows), found[100:900])
    order = rng.permutation(300)  # row n is row place[n] of the table in another order
    place = np.argsort(order)
    turned = np.lexsort((place[left], place[right]))  # and the other way round
    again = PairProducts(place[right][turned], place[left][turned], 300)(rows[order])
    assert np.array_equal(again, found[turned])


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_sparse_tensors() -> None:
    PairProducts(np.array([0]), np.array([1]), 2)(np.ones((2, 3)))
