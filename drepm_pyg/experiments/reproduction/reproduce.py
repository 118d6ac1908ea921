"""The paper's tables and figures on any data set in the schema, each from nothing in one call."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drepm_pyg._checks import check_at_least, check_choice, require
from drepm_pyg.experiments.plain import plain
from drepm_pyg.experiments.reproduction.kept import keep
from drepm_pyg.experiments.reproduction.kinds import MAKERS
from drepm_pyg.experiments.reproduction.measured import Measured, failures, measure
from drepm_pyg.experiments.reproduction.output import Output, write
from drepm_pyg.experiments.reproduction.places import places
from drepm_pyg.experiments.reproduction.plan import Context, PlannedRun, UnsuitedDataError, plan
from drepm_pyg.experiments.reproduction.report import write_report
from drepm_pyg.experiments.reproduction.schedule import run_all
from drepm_pyg.experiments.reproduction.settings import agreed_modalities, settings_source
from drepm_pyg.experiments.reproduction.spec import Spec, paper_names, read_spec
from drepm_pyg.experiments.sources import CACHE, load_data

__all__ = ["Reproduction", "reproduce"]


@dataclass(frozen=True)
class Reproduction:
    """What was made.

    Attributes:
        outputs: every table and figure.
        folder: where they stand.
        report: the HTML page; None where none was asked for.
    """

    outputs: list[Output]
    folder: Path
    report: Path | None

    @property
    def failures(self) -> list[str]:
        """One line per run that failed."""
        return list(dict.fromkeys(failure for output in self.outputs for failure in output.failures))


def reproduce(
    experiments: Sequence[str | Path] = (),
    data: str | None = None,
    *,
    seeds: int | Mapping[str, int] | None = None,
    root: str | Path = "runs/reproduce",
    cache: str | Path = CACHE,
    jobs: int = 1,
    report: bool = False,
    short: bool = False,
    results: str | Path | None = None,
    settings: str | Path | None = None,
    modalities: Sequence[str] | None = None,
    label: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Reproduction:
    """Train what is not trained yet, and write every table and figure.

    A run is found again by the hash of all that defines it, so that a second call only draws, experiments share runs,
    and a call that was killed goes on where it was. A run that fails is reported in its table; the rest goes on.

    Args:
        experiments: tables and figures of the paper by their names, and files of your own; none: all of the paper.
        data: see :func:`~drepm_pyg.experiments.load_data`; None: what the files say.
        seeds: per row, from 0 on, or by the names of rows or models; None, and for other rows: as each experiment says.
        root: where runs and results go.
        cache: where downloads and graphs are kept.
        jobs: runs at once, each with its share of the threads.
        report: write one HTML page with everything, too.
        short: two epochs a run, one seed, the ends of a range: to see that everything works. ``seeds`` and
            ``overrides`` go before it.
        results: a folder of finished runs without their weights, for one data set or for several: a run that stands
            there is not trained again, and every finished one is put there. It is small enough to be committed.
        settings: a folder of ``<Model>.yaml`` files, as a sweep writes them, that go before the library's settings.
        modalities: which modalities of the data to take, for all runs; None: those that the settings were found with,
            or all of them.
        label: how tables and figures call the data; None: the last part of its path. Published values stand beside
            ours where it contains the name of the paper's data set.
        overrides: dotted keys into every run's file, such as ``{"max_epochs": 100}``; what a row sets itself, or an
            experiment varies, stays as it is.
        progress: a line per run on stderr.

    Raises:
        FileNotFoundError: where an experiment or the data is not there.
        MissingExtraError: where the pictures need a package that is not installed; before anything is trained.
        ValueError: where a file does not hold an experiment, a setting is of no use to a model, or no data is named.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.

    Example:
        >>> made = reproduce(["table1"], "synthetic", root="runs/try")
        >>> made.outputs[0].records[0]["metric"]
        'users'
    """
    check_at_least(1, jobs=jobs)
    # Runs are named by them, and the report has them in its commands.
    seeds, overrides = plain(seeds), plain(overrides or {})
    if results is not None and Path(results).is_file():
        raise ValueError(f"'results' must be a folder (got '{results}', which is a file).")
    specs = [read_spec(name) for name in (experiments or paper_names())]
    _check_names(specs)
    _check_seeds(specs, seeds)
    _require_pictures(specs)
    source = _source(specs, data)
    models = list({row.model: None for spec in specs for row in spec.rows})
    if settings is not None:
        _tell_sources(models, source, settings, progress)
    if modalities is None:
        modalities = agreed_modalities(models, source, settings)
    context = Context(
        source=source,
        data=load_data(source, modalities=modalities, cache=cache),
        label=label or Path(source).name,
        modalities=None if modalities is None else list(modalities),
        root=Path(root),
        cache=Path(cache),
        kept=None if results is None else Path(results),
        settings=None if settings is None else Path(settings),
        overrides=overrides,
        short=short,
    )
    planned, unsuited = _plan(specs, context, seeds)
    placed = places([run for runs in planned.values() for run in runs], context.root, context.kept)
    failed = run_all(placed.values(), context, jobs=jobs, progress=progress)
    measured = {spec.name: measure(planned.get(spec.name, ()), placed, failed) for spec in specs}
    outputs = [
        Output(spec, [], failures=[unsuited[spec.name]])
        if spec.name in unsuited
        else _make(spec, measured[spec.name], context)
        for spec in specs
    ]
    for output in outputs:
        write(output, context.folder)
    if context.kept is not None:  # with the points that were drawn
        for place in placed.values():
            if place.folder not in failed:
                keep(place, context.kept)
    page = context.folder / "report.html" if report else None
    if page is not None:
        names = [str(name) for name in (experiments or paper_names())]
        commands = {spec.name: _command(name, context, seeds) for spec, name in zip(specs, names, strict=True)}
        write_report(page, outputs, measured, context, commands)
    return Reproduction(outputs, context.folder, page)


def _plan(
    specs: Sequence[Spec], context: Context, seeds: int | Mapping[str, int] | None
) -> tuple[dict[str, list[PlannedRun]], dict[str, str]]:
    """The runs of every experiment, and why some of several cannot be made on these data."""
    planned, unsuited = {}, {}
    for spec in specs:
        try:
            planned[spec.name] = plan(spec, context, seeds)
        except UnsuitedDataError as error:
            if len(specs) == 1:
                raise
            unsuited[spec.name] = f"{spec.name}: {error}"
    return planned, unsuited


def _make(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    lost = failures(measured)
    if measured and not any(each.places for each in measured):
        return Output(spec, [], failures=lost)
    try:
        return MAKERS[spec.kind](spec, measured, context)
    except Exception as error:  # the other tables and figures are worth having
        return Output(spec, [], failures=[*lost, f"{spec.name}: {type(error).__name__}: {error}"])


def _check_names(specs: Sequence[Spec]) -> None:
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise ValueError(f"'experiments' must have distinct names, as their files are called so (got {names}).")


def _check_seeds(specs: Sequence[Spec], seeds: int | Mapping[str, int] | None) -> None:
    if seeds is not None and not isinstance(seeds, Mapping):
        check_at_least(1, seeds=seeds)
    known = {name for spec in specs for row in spec.rows for name in (row.name, row.model)}
    for name, count in seeds.items() if isinstance(seeds, Mapping) else ():
        check_choice(sorted(known), **{"a name in 'seeds'": name})
        check_at_least(1, **{f"seeds[{name}]": count})


def _tell_sources(models: Sequence[str], source: str, settings: str | Path, progress: bool) -> None:
    """A folder may hold the settings of some of the models; it is said of which it does not."""
    found = {model: settings_source(model, source, settings) for model in models}
    others = {model: words for model, words in found.items() if words != str(settings)}
    if models and len(others) == len(models):
        raise ValueError(
            f"'settings' must hold a file for one of the models at least (got '{settings}', which has none of "
            f"{', '.join(model.rpartition('.')[2] + '.yaml' for model in models)})."
        )
    for model, words in others.items() if progress else ():
        print(f"'{settings}' has no settings of {model}: it runs with {words}.", file=sys.stderr, flush=True)


def _require_pictures(specs: Sequence[Spec]) -> None:
    if any(spec.kind not in ("statistics", "table") for spec in specs):
        require("matplotlib", extra="plot", purpose="Drawing figures")
    if any(spec.kind == "tsne" for spec in specs):
        require("sklearn.manifold", extra="tsne", purpose="t-SNE")


def _source(specs: Sequence[Spec], data: str | None) -> str:
    named = {data} if data is not None else {spec.data for spec in specs}
    if named == {None}:
        raise ValueError(
            "'data' must be given, as the experiments name none (--data PATH, 'movielens' or 'synthetic')."
        )
    if len(named) > 1 or None in named:
        raise ValueError(
            f"'data' must be given where the experiments do not all name the same (got {sorted(map(str, named))})."
        )
    return str(named.pop())


def _command(name: str, context: Context, seeds: int | Mapping[str, int] | None) -> str:
    words = ["drepm", "reproduce", name, "--data", context.source, "--root", str(context.root)]
    words += [] if context.cache == Path(CACHE) else ["--cache", str(context.cache)]
    words += [] if seeds is None else ["--seeds", json.dumps(seeds)]
    words += [] if context.kept is None else ["--results", str(context.kept)]
    words += [] if context.settings is None else ["--settings", str(context.settings)]
    words += [] if context.modalities is None else ["--modalities", f"[{', '.join(context.modalities)}]"]
    words += [] if context.label == Path(context.source).name else ["--label", context.label]
    words += ["--set", json.dumps(dict(context.overrides))] if context.overrides else []
    words += ["--short"] if context.short else []
    return shlex.join(words)
