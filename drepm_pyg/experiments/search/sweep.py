"""Search for settings: the same number of trials for every model, chosen on validation alone, on Optuna."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drepm_pyg._checks import check_at_least, check_choice, list_faults, require
from drepm_pyg.experiments.experiment import Experiment, GraphOptions, model_class
from drepm_pyg.experiments.plain import plain
from drepm_pyg.experiments.search.plan import SweepPlan
from drepm_pyg.experiments.search.space import SPACES, SearchSpace, read_space
from drepm_pyg.experiments.sources import CACHE
from drepm_pyg.models import available_models

__all__ = ["Sweep", "sweep"]


@dataclass(frozen=True)
class Sweep:
    """What a search found.

    Attributes:
        best: the run with the best settings, by model; its file is ``<path>/<Model>.yaml``.
        table: a row per model: its best trial, and what the search cost; as in ``<path>/best.md``.
        trials: a row per trial, as in ``<path>/trials.csv``.
        path: where everything stands.
    """

    best: dict[str, Experiment]
    table: list[dict[str, Any]]
    trials: list[dict[str, Any]]
    path: Path


def sweep(
    data: str,
    models: Sequence[str] | None = None,
    *,
    trials: int = 20,
    sampler: str = "tpe",
    prune_after: int | None = 20,
    jobs: int = 1,
    seed: int = 0,
    root: str | Path = "runs/sweep",
    cache: str | Path = CACHE,
    spaces: Mapping[str, Mapping[str, Any]] | str | Path | None = None,
    modalities: Sequence[str] | None = None,
    graphs: GraphOptions | None = None,
    max_epochs: int = 1000,
    patience: int = 20,
    batch_size: int = 2048,
    monitor: str = "val/recall@20",
    validate_every: int = 1,
    ks: Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg"),
    progress: bool = True,
) -> Sweep:
    """Try ``trials`` points of the search space of every model, and keep the best by ``monitor``.

    A trial is a run (:func:`drepm_pyg.training.fit`) in ``<root>/<Model>/trial-<number>/``. The studies stand in
    ``<root>/study.sqlite3``: any number of processes may make the same call at the same time and share the trials, a
    call that was killed goes on (a trial that was cut short is run again, from its last finished epoch), and a larger
    ``trials`` begins with the trials that are there. One process with one seed always tries the same points; several
    choose by what is done at the time, unless the sampler is ``"random"`` or ``"grid"``.

    Args:
        data: see :func:`~drepm_pyg.experiments.load_data`.
        models: their names, or the paths of classes; None: all models that come with a search space.
        trials: points that are tried for every model.
        sampler: how points are chosen: ``"tpe"`` (a tree of Parzen estimators, on the trials that are done),
            ``"random"``, or ``"grid"`` (a shuffled grid; needs lists of values).
        prune_after: epochs before which no trial is pruned; later, one whose best is below the median of the others at
            the same epoch is (once five others are done). None: none is pruned.
        jobs: processes at once, each with its share of the threads. A script that asks for more than one needs
            ``if __name__ == "__main__":``, as they import it.
        seed: of the points, and of the weights and triples of every run.
        root: where the study, the runs, the best settings and the tables go.
        cache: where downloads and graphs are kept.
        spaces: search spaces by model, or a folder of ``<Model>.yaml`` files; they go before those of the library.
        modalities: which modalities of the data to take; None: all of them.
        graphs: how similarity graphs are made, where a space does not say.
        max_epochs: epochs of a trial at most.
        patience: epochs without a strictly larger ``monitor`` before a trial ends.
        batch_size: triples per step, where a space does not say.
        monitor: the validation metric that decides; test metrics never do.
        validate_every: epochs from one validation to the next.
        ks: cut-offs of the metrics.
        metrics: names of the metrics.
        progress: a line per trial on stderr.

    Raises:
        MissingExtraError: where Optuna is not installed.
        ValueError: before any training where a model or its space is unknown or faulty, the space has fewer points than
            ``trials``, or ``root`` holds another search; at the end where no trial of a model was completed.
        KeyboardInterrupt: after Ctrl-C; the tables are up to date, and the same call goes on.
    """
    require("optuna", extra="sweep", purpose="A sweep")
    check_at_least(1, jobs=jobs)
    plan = SweepPlan(
        data=data,
        modalities=None if modalities is None else list(modalities),
        graphs=graphs or GraphOptions(),
        options=plain(
            {
                "max_epochs": max_epochs,
                "patience": patience,
                "batch_size": batch_size,
                "monitor": monitor,
                "validate_every": validate_every,
                "ks": list(ks),
                "metrics": list(metrics),
            }
        ),
        spaces=_spaces(models, spaces),
        trials=trials,
        sampler=sampler,
        prune_after=plain(prune_after),
        seed=plain(seed),
        root=Path(root),
        cache=Path(cache),
    )
    return _run(plan, jobs, progress)


def _spaces(
    models: Sequence[str] | None, spaces: Mapping[str, Mapping[str, Any]] | str | Path | None
) -> dict[str, SearchSpace]:
    given = spaces if isinstance(spaces, Mapping) else {}
    folder = None if spaces is None or isinstance(spaces, Mapping) else Path(spaces)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"'spaces' must be a folder of <Model>.yaml files (got '{folder}', which is none).")
    names = sorted(path.stem for path in SPACES.glob("*.yaml")) if models is None else models
    if not names:
        raise ValueError("'models' must name at least one model (got none).")
    found: dict[str, SearchSpace] = {}
    for class_path in names:
        if "." not in class_path:
            check_choice(available_models(), models=class_path.lower())
        name = model_class(class_path).__name__
        if name in found:
            raise ValueError(f"'models' must name every model once (got {list(names)}).")
        own = given.get(name, given.get(class_path))
        found[name] = read_space(class_path, folder) if own is None else SearchSpace.from_config(class_path, own)
    return found


def _run(plan: SweepPlan, jobs: int, progress: bool) -> Sweep:
    from drepm_pyg.experiments.search.study import ModelStudy, open_storage
    from drepm_pyg.experiments.search.tables import best_experiment, best_row, read_rows, summarize
    from drepm_pyg.experiments.search.worker import run_workers, work
    from drepm_pyg.training import fingerprint
    from drepm_pyg.training.fit import check_options

    data = plan.read_data()
    check_options(data, **plan.options)
    plan.graphs.check(data)
    known = fingerprint(data)
    with open_storage(plan.root) as storage:
        for name in plan.spaces:
            ModelStudy(plan, name, storage, known)  # another search in 'root' is found before anything is trained
    try:
        if jobs == 1:
            work(plan, data, known, progress=progress)
        else:
            run_workers(plan, jobs, progress=progress)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"Stopped; the same command goes on in '{plan.root}'.") from stop
    with open_storage(plan.root) as storage:
        rows = read_rows(storage)
    best = {name: best_row(rows, name, plan.monitor) for name in plan.spaces}
    list_faults("The sweep", filter(None, (_failure(name, rows) for name, row in best.items() if row is None)))
    chosen = {name: best_experiment(plan, row) for name, row in best.items() if row is not None}
    return Sweep(chosen, summarize(plan, rows), rows, plan.root)


def _failure(name: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    own = [row for row in rows if row["model"] == name]
    if any(row["state"] == "running" for row in own):
        return None  # another process is at work on it
    first = next((f"; trial {row['trial']}: {row['error']}" for row in own if row["error"]), "")
    return f"no trial of '{name}' was completed, of {len(own)} begun{first}"
