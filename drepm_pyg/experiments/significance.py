"""Two models over several seeds, compared user by user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "Pair", "holm", "paired_tests", "pairwise_tests", "seed_deviation"]

#: Steps in which differences are compared, of the largest value: float32 values and their means round far below. In a
#: power of two, as fractions of few items and seeds are then not half-way between two steps.
_STEP_BITS = 17


@dataclass(frozen=True)
class Comparison:
    """A metric of two models on the same users; the difference is the first minus the other.

    Attributes:
        metric: such as 'recall@20'.
        one: mean of the first model over users and seeds.
        one_deviation: standard deviation of its mean over the seeds; None for one seed.
        other: mean of the other model.
        other_deviation: standard deviation of its mean over the seeds; None for one seed.
        difference: ``one - other``.
        low: lower end of the 95% confidence interval of the difference, over users.
        high: its upper end.
        t_test: p-value of the paired t-test over users.
        wilcoxon: p-value of Wilcoxon's signed-rank test over users; users without a difference are left out, and
            differences that are equal but for rounding tie.
        users: number of users.
        seeds: number of seeds.
    """

    metric: str
    one: float
    one_deviation: float | None
    other: float
    other_deviation: float | None
    difference: float
    low: float
    high: float
    t_test: float
    wilcoxon: float
    users: int
    seeds: int


def paired_tests(metric: str, one: NDArray[np.float64], other: NDArray[np.float64]) -> Comparison:
    r"""Compare per-user values, averaged over the seeds first.

    .. math:: d_u = \frac{1}{S} \sum_s a_{su} - \frac{1}{S} \sum_s b_{su}, \qquad
        t = \frac{\bar{d}}{s_d / \sqrt{U}}

    Args:
        metric: its name.
        one: values of the first model.
        other: values of the other.

    Shapes:
        one, other: float ``[S, U]`` of S seeds and U users; the models may differ in S

    Raises:
        ValueError: where the users are not the same, or fewer than two.
    """
    from scipy import stats

    if one.shape[1] != other.shape[1] or one.shape[1] < 2:
        raise ValueError(f"'one' and 'other' must hold the same two users or more (got {one.shape} and {other.shape}).")
    difference = one.mean(axis=0) - other.mean(axis=0)
    ranked = _without_rounding(difference, max(np.abs(one).max(), np.abs(other).max()))
    equal = not ranked.any()  # the tests are undefined there
    if np.ptp(ranked) > 0:
        test = stats.ttest_1samp(difference, 0.0)
        (low, high), t_test = test.confidence_interval(0.95), float(test.pvalue)
    else:  # no spread at all: the interval is a point
        low = high = difference[0]
        t_test = 1.0 if equal else 0.0
    return Comparison(
        metric=metric,
        one=float(one.mean()),
        one_deviation=seed_deviation(one),
        other=float(other.mean()),
        other_deviation=seed_deviation(other),
        difference=float(difference.mean()),
        low=float(low),
        high=float(high),
        t_test=t_test,
        wilcoxon=1.0 if equal else float(stats.wilcoxon(ranked).pvalue),
        users=one.shape[1],
        seeds=len(one),
    )


def _without_rounding(difference: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    """The differences in whole steps: means of one sum in another order are no rank apart, nor from 0."""
    _, exponent = np.frexp(largest)
    steps: NDArray[np.float64] = np.rint(np.ldexp(difference, _STEP_BITS - exponent))
    return steps


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Holm's correction for several tests: reject those whose corrected value is below the level.

    .. math:: \tilde{p}_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})

    with :math:`p_{(1)} \le \dots \le p_{(m)}` ("A Simple Sequentially Rejective Multiple Test Procedure",
    Scandinavian Journal of Statistics, 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


@dataclass(frozen=True)
class Pair:
    """Two of several models.

    Attributes:
        one: name of the first.
        other: name of the other.
        comparison: the two, with the p-values of their own tests.
        t_test: p-value of the t-test, corrected for all pairs.
        wilcoxon: p-value of Wilcoxon's test, corrected for all pairs.
    """

    one: str
    other: str
    comparison: Comparison
    t_test: float
    wilcoxon: float

    def significant(self, level: float = 0.05) -> bool:
        """Whether both tests, which ask different questions, reject that there is no difference."""
        return self.t_test < level and self.wilcoxon < level


def pairwise_tests(metric: str, values: Mapping[str, NDArray[np.float64]]) -> list[Pair]:
    """Compare every two models; Holm's correction runs over all pairs, for each test by itself.

    Args:
        metric: its name.
        values: of every model, by its name.

    Shapes:
        values: float ``[S, U]`` of S seeds and U users
    """
    pairs = list(combinations(values, 2))
    found = [paired_tests(metric, values[one], values[other]) for one, other in pairs]
    t_tests, wilcoxons = holm([each.t_test for each in found]), holm([each.wilcoxon for each in found])
    return [
        Pair(one, other, comparison, t_test, wilcoxon)
        for (one, other), comparison, t_test, wilcoxon in zip(pairs, found, t_tests, wilcoxons, strict=True)
    ]


def seed_deviation(values: NDArray[np.float64]) -> float | None:
    """The standard deviation of the seeds' means; None for one seed.

    Shapes:
        values: float ``[S, U]`` of S seeds and U users
    """
    return float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else None
