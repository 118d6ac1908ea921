"""Where runs stand: equal runs share a folder, and one that recorded more serves those that ask for less."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.reproduction.gradients_file import GRADIENTS
from drepm_pyg.experiments.reproduction.plan import Need, PlannedRun
from drepm_pyg.experiments.reproduction.users_file import USERS
from drepm_pyg.experiments.yaml_file import read_yaml
from drepm_pyg.training.run import CONFIG, METRICS, RESULT, WEIGHTS

__all__ = ["Place", "places"]

_WATCHABLE = ("gradients", "lines")


@dataclass(frozen=True)
class Place:
    """A run with its folder.

    Attributes:
        experiment: the run; its options name the folder.
        folder: the run's.
        watch: what is recorded while it trains.
        points: files that pictures are drawn from; the weights make them again.
    """

    experiment: Experiment
    folder: Path
    watch: frozenset[str]
    points: frozenset[str] = frozenset()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do; a run that is kept without its weights must have its points."""
        weights = (self.folder / WEIGHTS).exists()
        files = [RESULT, USERS, *([GRADIENTS] if "gradients" in self.watch else []), *([] if weights else self.points)]
        return all((self.folder / file).exists() for file in files)

    @property
    def started(self) -> bool:
        """Whether an earlier call began it."""
        return (self.folder / METRICS).exists()


def places(runs: Iterable[PlannedRun], root: Path, kept: Path | None = None) -> Mapping[Need, Place]:
    """A place for everything that is needed; what the runs of several experiments watch is watched at once.

    Two trainings of one run may differ in their last bits, as by the number of threads. So what is finished is chosen
    by what an experiment needs alone: a table prints the same, whatever is asked for beside it.

    Args:
        runs: of all experiments.
        root: where runs are trained.
        kept: where finished runs are kept without their weights; used where ``root`` has no finished one.
    """
    found: dict[Need, Place] = {}
    lacking: dict[str, list[PlannedRun]] = {}
    for run in {run.need: run for run in runs}.values():
        place = _finished(run, root, kept)
        if place is None:
            lacking.setdefault(run.key, []).append(run)
        else:
            found[run.need] = place
    for key, waiting in lacking.items():
        watch: frozenset[str] = frozenset().union(*(run.watch for run in waiting))
        points = frozenset().union(*(_points(run) for run in waiting))
        own = [_place(key, waiting[0].experiment, more, points, root) for more in _supersets(watch)]
        chosen = next((place for place in own if place.started), own[0])
        found |= {run.need: chosen for run in waiting}
    return found


def _finished(run: PlannedRun, root: Path, kept: Path | None) -> Place | None:
    """The one that recorded least beyond what is needed."""
    for watch in _supersets(run.watch):
        tried = [_place(run.key, run.experiment, watch, _points(run), root)]
        if kept is not None:
            tried.append(_kept_place(run.key, run.experiment, watch, _points(run), kept))
        for place in tried:
            if place.finished:
                return place
    return None


def _points(run: PlannedRun) -> frozenset[str]:
    return frozenset() if run.points is None else frozenset({run.points})


def _supersets(watch: frozenset[str]) -> list[frozenset[str]]:
    others = [name for name in _WATCHABLE if name not in watch]
    return [watch | set(more) for size in range(len(others) + 1) for more in combinations(others, size)]


def _place(key: str, experiment: Experiment, watch: frozenset[str], points: frozenset[str], root: Path) -> Place:
    name = "-".join(["runs/" + key, *sorted(watch)])
    if (root / name / CONFIG).exists():
        # A run goes on as it began: an argument may have been at its default then and be given now.
        began = Experiment.from_config(read_yaml(root / name / CONFIG))
        experiment = replace(began, data=experiment.data, graphs=experiment.graphs)
    options = {**experiment.options, "root": str(root), "name": name, "track_lines": "lines" in watch}
    return Place(replace(experiment, options=options), root / name, watch, points)


def _kept_place(key: str, experiment: Experiment, watch: frozenset[str], points: frozenset[str], kept: Path) -> Place:
    return Place(experiment, kept / "-".join([key, *sorted(watch)]), watch, points)
