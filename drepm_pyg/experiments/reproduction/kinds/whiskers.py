"""How far the seeds of a value lie apart."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["whiskers", "whiskers_caption"]


def whiskers(records: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """The standard deviations of the records; None, which draws nothing, where no value has one.

    A whisker of length 0 would claim that seeds agree where there was only one.

    Example:
        >>> whiskers([{"deviation": 0.1}, {"deviation": None}]), whiskers([{"deviation": None}])
        ([0.1, nan], None)
    """
    found = [each["deviation"] for each in records]
    if all(value is None for value in found):
        return None
    return [float("nan") if value is None else float(value) for value in found]


def whiskers_caption(records: Sequence[Mapping[str, Any]]) -> str:
    """What the caption says of them; nothing where none is drawn."""
    return "" if whiskers(records) is None else "; whiskers are the standard deviation over the seeds"
