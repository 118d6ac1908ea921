"""Search spaces as data: the values that the arguments of a model and of its training may take."""

import inspect
import itertools
import json
import logging
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drepm_pyg._checks import list_faults
from drepm_pyg.experiments.bma_options import BMAOptions
from drepm_pyg.experiments.experiment import DERIVED, GraphOptions, model_class
from drepm_pyg.experiments.yaml_file import read_yaml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["SPACES", "Bounds", "SearchSpace", "read_space"]

_log = logging.getLogger(__name__)

#: The spaces that come with the library, one ``<Model>.yaml`` a model.
SPACES = Path(__file__).parents[1] / "spaces"

#: What of the training may vary; the budget of a trial is the same for all of them.
_TRAINING = ("batch_size", "lr", "lr_decay")


@dataclass(frozen=True)
class Bounds:
    """All numbers from ``low`` to ``high``, uniform on a linear or on a log scale; whole ones where both ends are."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole ones."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def count(self) -> int | None:
        """How many numbers there are; None where they are not whole."""
        return int(self.high) - int(self.low) + 1 if self.whole else None

    def draw(self, generator: random.Random) -> float:
        """One of the numbers."""
        if self.log:
            return self.tidy(math.exp(generator.uniform(math.log(self.low), math.log(self.high))))
        if self.whole:
            return generator.randint(int(self.low), int(self.high))
        return self.tidy(generator.uniform(self.low, self.high))

    def tidy(self, value: float) -> float:
        """Four digits, or a whole number: settings are read by people."""
        short = round(value) if self.whole else float(f"{value:.4g}")
        return min(max(short, self.low), self.high)


@dataclass(frozen=True)
class SearchSpace:
    """What may vary in the runs of a model, by dotted names such as ``"init_args.reg"`` and ``"lr"``.

    Attributes:
        class_path: the model, by its name or its path.
        varied: a list of values, or bounds, for every name that varies.
        fixed: the values of the names that do not.

    Example:
        >>> space = SearchSpace.from_config("BPR", {"init_args": {"reg": [0.1, 1.0]}, "lr": {"low": 1e-4, "high": 0.1}})
        >>> space.varied["init_args.reg"], space.size
        ([0.1, 1.0], None)
    """

    class_path: str
    varied: dict[str, list[Any] | Bounds]
    fixed: dict[str, Any]

    @classmethod
    def from_config(cls, class_path: str, config: Mapping[str, Any]) -> "SearchSpace":
        """Read the nested form of a YAML file: a list is a choice, ``low`` and ``high`` are bounds, the rest is fixed.

        Raises:
            ValueError: with every fault: a name that nothing of the run has, a list without
                values, bounds that are none, or nothing to choose at all.
        """
        flat = _flatten({name: value for name, value in config.items() if value is not None})
        varied = {name: value for name, value in flat.items() if _varies(value)}
        faults = [*_unknown_names(class_path, flat), *(_fault_of(name, values) for name, values in varied.items())]
        if not varied:
            faults.append(
                f"there is nothing to choose (got {dict(config)}). Give an argument a list of values, or bounds "
                "{low: ..., high: ...}."
            )
        list_faults(f"The search space of '{class_path}'", filter(None, faults))
        return cls(
            class_path,
            {name: value if isinstance(value, list) else Bounds(**value) for name, value in varied.items()},
            {name: value for name, value in flat.items() if name not in varied},
        )

    @property
    def size(self) -> int | None:
        """How many points there are; None where there are bounds of other than whole numbers."""
        counts = [values.count if isinstance(values, Bounds) else len(values) for values in self.varied.values()]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def settings(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The nested form of one point: what a run is given beside the model's name."""
        values = {**self.fixed, **{name: _decode(self.varied[name], value) for name, value in point.items()}}
        nested: dict[str, Any] = {}
        for name, value in values.items():
            *parents, last = name.split(".")
            place = nested
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return nested

    def draws(self, seed: str) -> Iterator[dict[str, Any]]:
        """Points at random, without end; they depend on the arguments alone."""
        generator = random.Random(seed)
        while True:
            yield {
                name: values.draw(generator) if isinstance(values, Bounds) else _encode(generator.choice(values))
                for name, values in self.varied.items()
            }

    def grid(self, seed: str) -> Iterator[dict[str, Any]]:
        """Every point once, in an order that the seed shuffles: the first ones are no corner of the grid.

        Raises:
            ValueError: where there are bounds.
        """
        bounds = [name for name, values in self.varied.items() if isinstance(values, Bounds)]
        if bounds:
            raise ValueError(
                f"A grid needs lists of values, and the search space of '{self.class_path}' has bounds for {bounds}. "
                "List their values, or take another 'sampler'."
            )
        columns = [[_encode(value) for value in values] for values in self.varied.values() if isinstance(values, list)]
        points = [dict(zip(self.varied, row, strict=True)) for row in itertools.product(*columns)]
        random.Random(seed).shuffle(points)
        return iter(points)

    def distributions(self) -> "dict[str, BaseDistribution]":
        """The same space in Optuna's terms."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        def distribution(values: list[Any] | Bounds) -> "BaseDistribution":
            if isinstance(values, list):
                return CategoricalDistribution([_encode(value) for value in values])
            if values.whole:
                return IntDistribution(int(values.low), int(values.high), log=values.log)
            return FloatDistribution(values.low, values.high, log=values.log)

        return {name: distribution(values) for name, values in self.varied.items()}

    def describe(self) -> dict[str, Any]:
        """Plain data that tell this space from another."""
        varied = {
            name: values if isinstance(values, list) else {"low": values.low, "high": values.high, "log": values.log}
            for name, values in self.varied.items()
        }
        return {f"space.{name}": value for name, value in {**self.fixed, **varied}.items()}


def read_space(class_path: str, folder: str | Path | None = None) -> SearchSpace:
    """The space of a model from ``<Model>.yaml``.

    Args:
        class_path: the model, by its name or its path.
        folder: where to look first; then among :data:`SPACES`.

    Raises:
        ValueError: where there is no such file, or it has faults.
    """
    name = f"{model_class(class_path).__name__}.yaml"
    folders = [SPACES] if folder is None else [Path(folder), SPACES]
    for place in folders:
        if (place / name).exists():
            if folder is not None and place == SPACES:
                _log.warning("'%s' has no %s: the library's own space is searched.", folder, name)
            return SearchSpace.from_config(class_path, read_yaml(place / name))
    known = sorted({path.stem for place in folders for path in place.glob("*.yaml")})
    raise ValueError(
        f"'{class_path}' has no search space ({', '.join(known)} have one). Write {name}, and name its folder in "
        "'spaces'."
    )


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and not _varies(value):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _varies(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, Mapping) and bool({"low", "high"} & set(value)))


def _fault_of(name: str, values: list[Any] | Mapping[str, Any]) -> str | None:
    if isinstance(values, list):
        if not values:
            return f"'{name}' has no values. List at least one."
        return None if len(set(map(repr, values))) == len(values) else f"'{name}' names a value twice (got {values})."
    low: Any = values.get("low")
    high: Any = values.get("high")
    log = bool(values.get("log", False))
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if set(values) <= {"low", "high", "log"} and numbers and low < high and (low > 0 or not log):
        return None
    need = "0 < low < high" if log else "low < high"
    return (
        f"the bounds of '{name}' must be numbers 'low' and 'high' with {need}, and may have 'log' (got {dict(values)})."
    )


def _unknown_names(class_path: str, flat: Mapping[str, Any]) -> Iterator[str]:
    model = model_class(class_path)
    arguments = [name for name in inspect.signature(model).parameters if name not in DERIVED]
    groups = {
        "init_args": (f"argument of {model.__name__}", arguments),
        "graphs": ("option of the graphs", list(inspect.signature(GraphOptions).parameters)),
        "bma": ("option of the alignment", list(inspect.signature(BMAOptions).parameters)),
    }
    for name in flat:
        group, _, argument = name.partition(".")
        argument = argument.split(".")[0]
        if name in groups:
            yield f"'{name}' must be a mapping of arguments to values (got {flat[name]!r})."
        elif group == "graphs" and not model.graph_nodes:
            yield f"'{name}' is for the similarity graphs, and {model.__name__} reads none."
        elif group in groups:
            kind, known = groups[group]
            if argument not in known:
                yield f"'{argument}' is no {kind} (known: {', '.join(known) or 'none'})."
        elif name not in _TRAINING:
            yield f"'{name}' cannot vary: a space has {', '.join(map(repr, (*groups, *_TRAINING)))}."


def _encode(value: Any) -> Any:
    """Optuna chooses among plain values: a list or a mapping becomes its JSON text."""
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _decode(values: list[Any] | Bounds, chosen: Any) -> Any:
    if isinstance(values, Bounds):
        return values.tidy(chosen)
    return next(value for value in values if _encode(value) == chosen and type(_encode(value)) is type(chosen))
