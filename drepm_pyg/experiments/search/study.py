"""The trials of one model in an Optuna study that several processes share and that outlives each of them."""

import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.experiments.search.plan import SweepPlan

__all__ = ["STATE_NAMES", "STUDY", "Claim", "ModelStudy", "is_current", "open_storage", "place_of", "shared_lock"]

#: The file of the studies, one for all models of a sweep.
STUDY = "study.sqlite3"

#: How the tables call Optuna's states.
STATE_NAMES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


#: The attribute of a record that says which trial it tells of: its number, its point, and the settings as text.
_PLACE = "trial"

#: How often the estimators may name a point that was tried before one is drawn at random: in a small space they insist.
_ATTEMPTS = 5

#: How many points are drawn in search of a new one: the last of 1,000 is missed once in 20,000 sweeps.
_DRAWS = 10_000


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs.

    Attributes:
        model: its name.
        number: of the trial among those of the model; one that was cut short is run again under its number.
        settings: its point of the space, in the nested form.
        study: the model's.
        trial: Optuna's record of it.
        lock: held while the trial runs.
    """

    model: str
    number: int
    settings: dict[str, Any]
    study: optuna.Study
    trial: Trial
    lock: FileLock


@contextmanager
def open_storage(root: Path) -> Iterator[RDBStorage]:
    """The storage of a sweep; it waits for the other processes' writes.

    Raises:
        CorruptFileError: where the file is truncated, or no storage of Optuna.
    """
    root.mkdir(parents=True, exist_ok=True)
    file = root / STUDY
    with shared_lock(root):  # the first one makes the tables
        _check_storage(file)
        storage = RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": 60}})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _check_storage(file: Path) -> None:
    """A file that is there is whole."""
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:  # held by another process, which has looked at it
        return
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise CorruptFileError(
            f"'{file}' cannot be read ({found}). Was it truncated? 'trials.csv' beside it has the trials; move the "
            "file away to search anew."
        )


def shared_lock(root: Path) -> FileLock:
    """Held while trials are handed out and tables written; the system lets a lock go with the process that holds it."""
    return _lock(root, "sweep")


def is_current(trial: FrozenTrial) -> bool:
    """Whether a record tells of a trial: those of trials cut short, and of points drawn twice, are left behind."""
    return trial.state != TrialState.FAIL or _has_failed(trial)


def place_of(trial: FrozenTrial) -> Any:
    """The number, the point and the settings of a trial; None where it was cut short while they were drawn."""
    return trial.user_attrs.get(_PLACE)


class ModelStudy:
    """What has been tried for one model, and what is to be tried next.

    Args:
        plan: the sweep.
        name: of the model.
        storage: of the sweep.
        fingerprint: of the data.

    Raises:
        ValueError: where the storage holds the studies of another search.
    """

    def __init__(self, plan: SweepPlan, name: str, storage: RDBStorage, fingerprint: str) -> None:
        self.plan, self.name, self.space = plan, name, plan.spaces[name]
        self.distributions = self.space.distributions()
        definition = plan.definition(name, fingerprint)
        with shared_lock(plan.root), _quiet():
            _check_same_search(plan.root, storage, name, definition)
            self.study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(seed=0),  # points that it would draw are given to it, see _draw
                pruner=_pruner(plan.prune_after),
                load_if_exists=True,
            )
            self.study.set_user_attr("definition", definition)

    def claim(self) -> Claim | None:
        """The next trial for this process; None where all are done or others are at work on the rest."""
        with shared_lock(self.plan.root):
            self._leave_behind_the_dead()
            trials = [trial for trial in self.study.get_trials(deepcopy=False) if is_current(trial)]
            waiting = [place_of(trial)["number"] for trial in trials if trial.state == TrialState.WAITING]
            free = waiting or sorted({*range(self.plan.trials)} - {place_of(trial)["number"] for trial in trials})
            if not free:
                return None
            lock = self._lock(free[0])
            lock.acquire(timeout=0)
            trial = self.study.ask(self.distributions) if waiting else self._draw(free[0], trials)
            return Claim(self.name, free[0], self.space.settings(trial.params), self.study, trial, lock)

    def _leave_behind_the_dead(self) -> None:
        """A trial that nobody holds the lock of was cut short: it waits to be run again, with the same settings."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            place = place_of(trial)
            if place is not None and self._is_running(place["number"]):
                continue
            self.study.tell(trial.number, state=TrialState.FAIL)
            if place is not None and not _has_failed(trial):  # without a place it was cut short while it was drawn
                self.study.enqueue_trial(place["point"], user_attrs={_PLACE: place})

    def _is_running(self, number: int) -> bool:
        lock = self._lock(number)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def _draw(self, number: int, trials: list[FrozenTrial]) -> Trial:
        """A point that no other trial has; it depends on the seed, the number and the trials that are done."""
        seen = {place_of(trial)["settings"] for trial in trials}
        seed = f"{self.plan.seed}/{self.name}"
        for attempt in range(_ATTEMPTS if self.plan.sampler == "tpe" else 0):
            # A sampler each: one that is seeded once per process would draw the same points in each process.
            self.study.sampler = optuna.samplers.TPESampler(seed=_hash(f"{seed}/{number}/{attempt}"))
            trial = self.study.ask(self.distributions)
            place = self._describe(number, trial.params)
            if place["settings"] not in seen:
                trial.set_user_attr(_PLACE, place)
                return trial
            self.study.tell(trial, state=TrialState.FAIL)
        draws = itertools.islice(self.space.draws(seed), _DRAWS)
        points = self.space.grid(seed) if self.plan.sampler == "grid" else draws
        places = (self._describe(number, point) for point in points)
        new = next((place for place in places if place["settings"] not in seen), {})
        if not new:
            raise ValueError(
                f"The search space of '{self.name}' has no point left that was not tried (got {len(seen)} trials; "
                f"{_DRAWS:,} draws gave none). Lower 'trials', or widen the space."
            )
        self.study.enqueue_trial(new["point"], user_attrs={_PLACE: new})
        return self.study.ask(self.distributions)

    def _describe(self, number: int, point: Mapping[str, Any]) -> dict[str, Any]:
        return {"number": number, "point": dict(point), "settings": json.dumps(self.space.settings(point))}

    def _lock(self, number: int) -> FileLock:
        return _lock(self.plan.root, f"{self.name}-{number}")


def _has_failed(trial: FrozenTrial) -> bool:
    return trial.user_attrs.get("outcome", {}).get("error") is not None


def _lock(root: Path, name: str) -> FileLock:
    folder = root / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def _pruner(prune_after: int | None) -> optuna.pruners.BasePruner:
    if prune_after is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=prune_after)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _check_same_search(root: Path, storage: RDBStorage, name: str, definition: dict[str, Any]) -> None:
    """Studies of other models in the same place may differ in their spaces alone."""
    for summary in optuna.get_all_study_summaries(storage, include_best_trial=False):
        known = summary.user_attrs.get("definition")
        if known is None:  # made, and then killed before it was described
            continue
        changed = [
            f"{key}={definition.get(key)!r}, was {known.get(key)!r}"
            for key in {**known, **definition}
            if definition.get(key) != known.get(key) and (summary.study_name == name or not key.startswith("space."))
        ]
        if changed:
            raise ValueError(
                f"'{root}' holds the study of another search ({summary.study_name}: {'; '.join(changed)}). Take its "
                "settings to go on with it, or choose another 'root'."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna without its greeting."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
