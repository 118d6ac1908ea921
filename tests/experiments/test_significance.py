"""Paired tests: against SciPy's other entry points and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from drepm_pyg.experiments.significance import holm, paired_tests, pairwise_tests


@pytest.fixture
def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.random((1, 200))
    return {
        "good": base + 0.2 + 0.1 * rng.random((3, 200)),
        "middle": base + 0.1 * rng.random((3, 200)),
        "same": base + 0.1 * rng.random((3, 200)),
    }


def test_both_tests_run_on_the_users_means_over_the_seeds(values: dict[str, np.ndarray]) -> None:
    one, other = values["good"], values["middle"]
    found = paired_tests("recall@20", one, other)
    assert found.t_test == pytest.approx(stats.ttest_rel(one.mean(0), other.mean(0)).pvalue)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(one.mean(0), other.mean(0)).pvalue)
    assert (found.users, found.seeds) == (200, 3)
    assert found.one_deviation == pytest.approx(np.std(one.mean(1), ddof=1))


def test_the_t_test_of_three_users_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, standard deviation 1, t = 2 sqrt 3 with 2 degrees of freedom.
    found = paired_tests("m", np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 3)))
    t = 2 * math.sqrt(3)
    assert found.t_test == pytest.approx(1 - t / math.sqrt(2 + t**2))  # the closed form for 2 degrees of freedom
    assert found.wilcoxon == pytest.approx(2 / 2**3)  # all signs alike, one of eight either way
    assert found.difference == 2
    assert (found.low + found.high) / 2 == pytest.approx(2)
    assert found.one_deviation is None  # one seed


def test_equal_values_differ_by_nothing_and_a_constant_difference_is_certain() -> None:
    ones = np.ones((2, 9))
    equal = paired_tests("m", ones, ones)
    assert (equal.t_test, equal.wilcoxon, equal.low, equal.high) == (1.0, 1.0, 0.0, 0.0)
    constant = paired_tests("m", ones, 0 * ones)
    assert (constant.t_test, constant.low, constant.high) == (0.0, 1.0, 1.0)


def test_rounding_of_values_and_means_makes_no_ranks() -> None:
    rng = np.random.default_rng(0)
    held_out = rng.integers(1, 6, 300)
    one, other = (rng.binomial(held_out, share, (3, 300)) for share in (0.3, 0.27))
    found = paired_tests("recall@20", *((hits / held_out).astype(np.float32).astype(float) for hits in (one, other)))
    difference = (one.sum(0) - other.sum(0)) * (60 // held_out)  # whole numbers: ties are exact
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(difference).pvalue)
    thirds = np.repeat(np.array([[0.0], [1 / 3], [2 / 3]]), 9, axis=1).astype(np.float32).astype(float)
    thirds[:, 4:] = 0.25
    same = paired_tests("recall@20", thirds, np.where(thirds == 0.25, 0.25, thirds[1]))
    assert (same.t_test, same.wilcoxon) == (1.0, 1.0)


@pytest.mark.errors
def test_other_users_are_refused() -> None:
    with pytest.raises(ValueError, match="'one' and 'other' must hold the same two users or more"):
        paired_tests("m", np.zeros((1, 3)), np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x .01, 2 x .03, then 1 x .04 raised to the one before
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
        ([0.01, 0.01, 0.01, 0.005], [0.03, 0.03, 0.03, 0.02]),
    ],
)
def test_holm_by_hand(p_values: list[float], corrected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(corrected)


def test_holm_never_rejects_more_than_the_tests_alone_nor_less_than_bonferroni() -> None:
    p_values = np.random.default_rng(1).random(40) ** 4
    corrected = np.array(holm(p_values.tolist()))
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(1, 40 * p_values) + 1e-15).all()
    assert (np.diff(corrected[p_values.argsort()]) >= 0).all()


def test_pairs_are_corrected_for_all_of_them(values: dict[str, np.ndarray]) -> None:
    pairs = pairwise_tests("m", values)
    assert [(pair.one, pair.other) for pair in pairs] == [("good", "middle"), ("good", "same"), ("middle", "same")]
    assert [pair.t_test for pair in pairs] == holm([pair.comparison.t_test for pair in pairs])
    assert [pair.wilcoxon for pair in pairs] == holm([pair.comparison.wilcoxon for pair in pairs])
    assert [pair.significant() for pair in pairs] == [True, True, False]
