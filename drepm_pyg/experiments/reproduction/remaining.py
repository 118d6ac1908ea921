"""Progress over many runs, with the time that is left by what the finished ones took."""

import sys
from collections.abc import Iterable
from statistics import mean

__all__ = ["Remaining", "duration"]


class Remaining:
    """A line on stderr per finished run.

    The time left is that of the runs of the same model so far, or of all runs where there is none yet.

    Args:
        keys: of the runs, each beginning with the model's name and a hyphen.
        jobs: how many run at once.
    """

    def __init__(self, keys: Iterable[str], jobs: int) -> None:
        self.open = dict.fromkeys(keys)
        self.total, self.jobs = len(self.open), jobs
        self.took: dict[str, list[float]] = {}

    def left(self) -> float:
        """Seconds until all are done, by what the finished ones took; 0 before the first."""
        known = [seconds for each in self.took.values() for seconds in each]
        if not known:
            return 0.0
        each = [mean(self.took.get(_model(key), known)) for key in self.open]
        return sum(each) / self.jobs

    def tell(self, key: str, error: str | None, seconds: float) -> None:
        """One is done, or has failed (which says nothing about how long runs take)."""
        del self.open[key]
        if error is None:
            self.took.setdefault(_model(key), []).append(seconds)
        state = f"done in {duration(seconds)}" if error is None else f"FAILED: {error}"
        left = f"; about {duration(self.left())} left" if self.open and self.took else ""
        print(f"[{self.total - len(self.open)}/{self.total}] {key}: {state}{left}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time that is quickly read.

    Example:
        >>> duration(4.2), duration(100), duration(7320)
        ('4 s', '1 min 40 s', '2 h 02 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _model(key: str) -> str:
    return key.split("-", 1)[0]
