"""An experiment as runs: each model with each seed, and each value where a setting varies."""

import inspect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_positive
from drepm_pyg.data import modalities as modalities_of
from drepm_pyg.data.schema import pair_counts
from drepm_pyg.experiments.experiment import DERIVED, Experiment
from drepm_pyg.experiments.reproduction.identity import identity
from drepm_pyg.experiments.reproduction.settings import PLACE, base_settings, override
from drepm_pyg.experiments.reproduction.spec import Row, Spec
from drepm_pyg.training import fingerprint, fit
from drepm_pyg.training.arguments import defaults
from drepm_pyg.training.fit import check_options

__all__ = ["Context", "Need", "PlannedRun", "UnsuitedDataError", "first_modality", "plan"]


#: A run by its key, what is recorded beside it, and the file that a picture is drawn from.
Need = tuple[str, frozenset[str], str | None]

#: What a row says under 'model', not under 'set'.
_MODEL = ("model", "model.class_path", "model.init_args")


class UnsuitedDataError(ValueError):
    """The data lack what an experiment is about; other experiments may do with them."""


@dataclass(frozen=True)
class Context:
    """The data that everything runs on, and what holds for all runs.

    Attributes:
        source: name or path of the data.
        data: without similarity graphs.
        label: how tables and figures call it.
        modalities: which modalities were taken; None: all of them.
        root: where runs and results go.
        cache: where downloads and graphs are kept.
        kept: where finished runs are kept without their weights; None: nowhere.
        settings: a folder of settings that go before the library's.
        overrides: dotted keys for every run.
        short: two epochs and one seed where nothing else is asked for, two values of a setting.
        fingerprint: of ``data``.
    """

    source: str
    data: HeteroData
    label: str
    modalities: list[str] | None
    root: Path
    cache: Path
    kept: Path | None = None
    settings: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    short: bool = False
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self.data))

    @property
    def folder(self) -> Path:
        """Where the tables and figures of this data set go."""
        name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in self.label.lower())
        return self.root / (f"{name}-short" if self.short else name)


@dataclass(frozen=True)
class PlannedRun:
    """A run that an experiment needs.

    Attributes:
        row: the row that it belongs to.
        point: the values of the settings that vary.
        seed: its seed.
        experiment: the run, without the place where it stands.
        key: what it is called on disk; equal runs of several experiments have the same.
        watch: what is recorded while it trains.
        points: the file that its picture is drawn from, see :attr:`Spec.points`.
    """

    row: str
    point: tuple[Any, ...]
    seed: int
    experiment: Experiment
    key: str
    watch: frozenset[str]
    points: str | None = None

    @property
    def need(self) -> Need:
        """What must stand on disk for it."""
        return self.key, self.watch, self.points


def plan(spec: Spec, context: Context, seeds: int | Mapping[str, int] | None = None) -> list[PlannedRun]:
    """All runs of an experiment.

    Args:
        spec: the experiment.
        context: the data and where everything stands.
        seeds: how many, or how many by the names of rows or models; None: as the experiment says.

    Raises:
        UnsuitedDataError: where the data lack what the experiment varies.
        ValueError: where a setting is of no use to the model or to its training, or the runs would not measure what the
            experiment shows.
    """
    points = list(itertools.product(*(_ends(values) if context.short else values for values in spec.vary.values())))
    short = {"max_epochs": 2} if context.short and "max_epochs" not in context.overrides else {}
    runs = []
    for row in spec.rows:
        _check_settings(row.name, {*context.overrides, *row.overrides, *spec.vary})
        base = override(base_settings(row.model, context.source, context.settings), row.overrides)
        for point in points:
            varied = _settings(dict(zip(spec.vary, point, strict=True)), context)
            # What is asked for on every run comes before what a row is about: "W/O SSS" stays without it.
            config = override(override(override(override(base, context.overrides), row.own), varied), short)
            experiment = Experiment.from_config({**config, "data": context.source, "modalities": context.modalities})
            _check_arguments(row.name, experiment)
            experiment.graphs.check(context.data)
            _check_training(spec, row.name, experiment, context)
            for seed in range(_count(spec, row, context, seeds)):
                seeded = replace(experiment, options={**experiment.options, "seed": seed})
                key = f"{seeded.model_class.__name__.lower()}-{identity(seeded, context.fingerprint)}"
                runs.append(PlannedRun(row.name, point, seed, seeded, key, spec.watch, spec.points))
    return runs


def _check_settings(row: str, given: Iterable[str]) -> None:
    """Where a run stands, its seed, its model and its data are not for 'set' to say."""
    placed = sorted(key for key in set(given) if key.partition(".")[0] in PLACE)
    if placed:
        raise ValueError(
            f"The row '{row}' cannot set {placed}: the place of a run follows from what it is, and its seeds from "
            "'seeds'. Leave them out."
        )
    fixed = sorted(key for key in set(given) if key.partition(".")[0] in ("data", "modalities") or key in _MODEL)
    if fixed:
        raise ValueError(
            f"The row '{row}' cannot set {fixed}: 'model' of the row says which model it is, with its arguments as "
            "'model.init_args.NAME'; data and modalities are one for all rows ('--data', '--modalities')."
        )


def _count(spec: Spec, row: Row, context: Context, seeds: int | Mapping[str, int] | None) -> int:
    if spec.kind == "tsne":  # one picture is drawn of one run
        return 1
    usual = 1 if context.short else spec.seeds
    if isinstance(seeds, Mapping):
        return seeds.get(row.name, seeds.get(row.model, usual))
    return seeds or usual


def first_modality(data: HeteroData) -> str:
    """The modality whose weight ``modality_weight`` is: ``image``, or the first by name.

    Raises:
        UnsuitedDataError: where the data has fewer than two.
    """
    names = modalities_of(data)
    if len(names) < 2:
        raise UnsuitedDataError(f"'modality_weight' needs data with two modalities or more (got {names}).")
    return "image" if "image" in names else names[0]


def _settings(point: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The dotted keys of a point: ``modality_weight`` in full."""
    settings = dict(point)
    if "modality_weight" in settings:
        weight = float(settings.pop("modality_weight"))
        first = first_modality(context.data)
        others = [name for name in modalities_of(context.data) if name != first]
        shares = {first: weight, **{name: (1 - weight) / len(others) for name in others}}
        settings["model.init_args.weights"] = shares
    return settings


def _ends(values: Sequence[Any]) -> list[Any]:
    return [values[0], values[-1]] if len(values) > 1 else list(values)


def _check_arguments(row: str, experiment: Experiment) -> None:
    """What the model would refuse is found before anything is trained."""
    model = experiment.model_class
    known = {*inspect.signature(model.__init__).parameters, *inspect.signature(model.from_data).parameters}
    known -= {*DERIVED, "self", "data", "hyper_parameters"}
    known |= {"modalities"} if "modalities" in inspect.signature(model.from_data).parameters else set()
    unknown = sorted(set(experiment.model["init_args"]) - known)
    if unknown:
        raise ValueError(
            f"The row '{row}' sets {unknown} in 'model.init_args', which {model.__name__} does not take (it takes "
            f"{sorted(known)})."
        )


def _check_training(spec: Spec, row: str, experiment: Experiment, context: Context) -> None:
    """What ``fit`` would refuse, and what it would not measure, is found before anything is trained."""
    given = {**defaults(fit), **experiment.options}
    options = {name: given[name] for name in inspect.signature(check_options).parameters if name != "data"}
    try:
        check_positive(lr=given["lr"], lr_decay=given["lr_decay"])
        check_options(context.data, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The row '{row}' of the experiment '{spec.name}' cannot be trained: {error}") from error
    if not pair_counts(context.data).get("test"):
        raise ValueError(
            "'data' must have test pairs, as every run ranks them (got none). Split it first, as "
            "by drepm_pyg.data.random_split(data)."
        )
    measured = [f"{metric}@{k}" for metric in options["metrics"] for k in options["ks"]]
    missing = [metric for metric in spec.metrics if metric not in measured]
    if spec.kind in ("table", "lines", "sweep") and missing:
        raise ValueError(
            f"The experiment '{spec.name}' shows {missing}, and its runs measure {measured}. Set what they measure, "
            "such as 'set: {ks: [5, 10, 20]}' (or 'metrics')."
        )
