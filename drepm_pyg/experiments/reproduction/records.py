"""Results in one long form, whatever their kind: a record per row, metric and point."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["FIELDS", "record", "to_csv"]

#: The columns of every CSV file of results.
FIELDS = ("experiment", "row", "point", "metric", "mean", "deviation", "seeds", "mark", "published", "difference")


def record(
    experiment: str,
    row: str,
    metric: str,
    *,
    mean: float | None,
    deviation: float | None = None,
    seeds: int = 0,
    point: str = "",
    mark: str = "",
    published: float | None = None,
) -> dict[str, Any]:
    """One number with all that is known about it.

    Args:
        experiment: its name.
        row: of the experiment.
        metric: its name.
        mean: the value, over users and seeds; None where there is none.
        deviation: standard deviation over the seeds, where it is known.
        seeds: number of runs behind it.
        point: the values of the settings that vary.
        mark: ``"best"``, ``"second"`` or nothing.
        published: the paper's value; the difference to it is in percent of it.
    """
    difference = None if mean is None or not published else 100 * (mean / published - 1)
    return {
        "experiment": experiment,
        "row": row,
        "point": point,
        "metric": metric,
        "mean": mean,
        "deviation": deviation,
        "seeds": seeds,
        "mark": mark,
        "published": published,
        "difference": difference,
    }


def to_csv(records: Sequence[Mapping[str, Any]], fields: Sequence[str] = FIELDS) -> str:
    """The records as CSV; what is not known is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
