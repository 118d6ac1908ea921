"""Where runs stand: equal runs share a folder, and one that recorded more serves those that ask for less."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.reproduction.gradients_file import GRADIENTS
from drepm_pyg.experiments.reproduction.plan import PlannedRun
from drepm_pyg.experiments.reproduction.users_file import USERS
from drepm_pyg.experiments.yaml_file import read_yaml

__all__ = ["Place", "places"]

_WATCHABLE = ("gradients", "lines")


@dataclass(frozen=True)
class Place:
    """A run with its folder.

    Attributes:
        experiment: the run; its options name the folder.
        folder: the run's.
        watch: what is recorded while it trains.
    """

    experiment: Experiment
    folder: Path
    watch: frozenset[str]

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        files = ["result.json", USERS, *([GRADIENTS] if "gradients" in self.watch else [])]
        return all((self.folder / file).exists() for file in files)

    @property
    def started(self) -> bool:
        """Whether an earlier call began it."""
        return (self.folder / "metrics.csv").exists()


def places(runs: Iterable[PlannedRun], root: Path) -> Mapping[str, Place]:
    """A place for every distinct run, by its key; what the runs of several experiments watch is watched at once."""
    wanted: dict[str, tuple[Experiment, frozenset[str]]] = {}
    for run in runs:
        before = wanted[run.key][1] if run.key in wanted else frozenset()
        wanted[run.key] = (run.experiment, before | run.watch)
    found = {}
    for key, (experiment, watch) in wanted.items():
        candidates = [_place(key, experiment, more, root) for more in _supersets(watch)]
        found[key] = next(
            (place for place in candidates if place.finished),
            next((place for place in candidates if place.started), candidates[0]),
        )
    return found


def _supersets(watch: frozenset[str]) -> list[frozenset[str]]:
    others = [name for name in _WATCHABLE if name not in watch]
    return [watch | set(more) for size in range(len(others) + 1) for more in combinations(others, size)]


def _place(key: str, experiment: Experiment, watch: frozenset[str], root: Path) -> Place:
    name = "-".join(["runs/" + key, *sorted(watch)])
    if (root / name / "config.yaml").exists():
        # A run goes on as it began: an argument may have been at its default then and be given now.
        began = Experiment.from_config(read_yaml(root / name / "config.yaml"))
        experiment = replace(began, data=experiment.data, graphs=experiment.graphs)
    options = {**experiment.options, "root": str(root), "name": name, "track_lines": "lines" in watch}
    return Place(replace(experiment, options=options), root / name, watch)
