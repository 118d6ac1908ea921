"""Bold and underlined: only what the paired tests establish."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.experiments.significance import Pair, pairwise_tests

__all__ = ["marks", "pair_records"]


def marks(
    metric: str, values: Mapping[str, NDArray[np.float64]], *, level: float = 0.05
) -> tuple[dict[str, str], list[Pair]]:
    """Which row is ``"best"`` and which is ``"second"``, and the tests behind it.

    The largest mean is the best where it differs significantly from every other one; the next one is the second where,
    beside that, it differs significantly from all below it. The row below alone would not do: a row further down may be
    so scattered that nothing is known of it. Nothing is marked where a rank is a matter of chance; of two rows, none is
    the second.

    Args:
        metric: its name.
        values: of every row, float ``[S, U]`` of S seeds and U users.
        level: of both tests, after Holm's correction over all pairs of rows.
    """
    if len(values) < 2 or next(iter(values.values())).shape[1] < 2:
        return {}, []
    pairs = pairwise_tests(metric, values)
    order = sorted(values, key=lambda row: float(values[row].mean()), reverse=True)
    found: dict[str, str] = {}
    for mark, place in (("best", 0), ("second", 1)):
        below = order[place + 1 :]
        if not below or not all(_differ(pairs, order[place], other, level) for other in below):
            break
        found[order[place]] = mark
    return found, pairs


def pair_records(metric: str, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """What the marks rest on: every two rows, with p-values before and after Holm's correction."""
    return [
        {
            "metric": metric,
            "one": pair.one,
            "other": pair.other,
            "difference": pair.comparison.difference,
            "low": pair.comparison.low,
            "high": pair.comparison.high,
            "t_test": pair.comparison.t_test,
            "wilcoxon": pair.comparison.wilcoxon,
            "t_test_holm": pair.t_test,
            "wilcoxon_holm": pair.wilcoxon,
            "users": pair.comparison.users,
        }
        for pair in pairs
    ]


def _differ(pairs: Sequence[Pair], one: str, other: str, level: float) -> bool:
    return next(pair for pair in pairs if {pair.one, pair.other} == {one, other}).significant(level)
