"""What the finished runs of a row gave, over its seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.plan import Need, PlannedRun
from drepm_pyg.experiments.reproduction.users_file import read_users
from drepm_pyg.experiments.significance import seed_deviation

__all__ = ["Measured", "failures", "measure"]


@dataclass(frozen=True)
class Measured:
    """A row of an experiment, at one point where settings vary.

    Attributes:
        row: its name.
        point: the values of the settings that vary.
        places: its finished runs, in the order of their seeds.
        failures: one line per run that failed.
    """

    row: str
    point: tuple[Any, ...]
    places: tuple[Place, ...]
    failures: tuple[str, ...]

    @cached_property
    def _users(self) -> list[dict[str, NDArray[np.float64]]]:
        return [read_users(place.folder) for place in self.places]

    def users(self, metric: str, line: str = "general") -> NDArray[np.float64] | None:
        """``[S, U]`` values of all users for all seeds; None without a finished run or without this line.

        Raises:
            ValueError: where the runs did not measure ``metric``.
        """
        if not self._users or not any(name.startswith(f"{line}/") for name in self._users[0]):
            return None
        if f"{line}/{metric}" not in self._users[0]:
            known = sorted(name.removeprefix(f"{line}/") for name in self._users[0] if name.startswith(f"{line}/"))
            raise ValueError(f"'metrics' must be among those that the runs measured, {known} (got '{metric}').")
        return np.stack([values[f"{line}/{metric}"] for values in self._users])

    def record(self, metric: str, line: str = "general") -> dict[str, Any]:
        """Mean over users and seeds, standard deviation over the seeds (None for one seed)."""
        values = self.users(metric, line)
        if values is None:
            return {"mean": None, "deviation": None, "seeds": 0}
        return {"mean": float(values.mean()), "deviation": seed_deviation(values), "seeds": len(values)}


def measure(runs: Sequence[PlannedRun], places: Mapping[Need, Place], failures: Mapping[Path, str]) -> list[Measured]:
    """The rows of an experiment, in its order."""
    groups: dict[tuple[str, tuple[Any, ...]], list[tuple[int, Place]]] = {}
    for run in runs:
        groups.setdefault((run.row, run.point), []).append((run.seed, places[run.need]))
    return [
        Measured(
            row,
            point,
            tuple(place for _, place in group if place.folder not in failures),
            tuple(f"seed {seed}: {failures[place.folder]}" for seed, place in group if place.folder in failures),
        )
        for (row, point), group in groups.items()
    ]


def failures(measured: Sequence[Measured]) -> list[str]:
    """One line per run that failed."""
    return [f"{' '.join(map(str, (each.row, *each.point)))}, {line}" for each in measured for line in each.failures]
