"""A table or a figure as data: which runs it needs, what the paper printed, what it claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from drepm_pyg._checks import check_at_least, check_choice
from drepm_pyg.experiments.experiment import model_class
from drepm_pyg.experiments.yaml_file import read_yaml

__all__ = ["KINDS", "Row", "Spec", "paper_names", "point_text", "read_spec"]

#: What an experiment makes: a table of the data, a table of models, bars of the lines apart, columns of ``metrics.csv``
#: per epoch, the conflict of two gradients, two representations in the plane, or a metric over one or two settings.
KINDS = ("statistics", "table", "lines", "curve", "gradients", "tsne", "sweep")

STATISTICS = ("users", "items", "interactions", "sparsity")

_KEYS = (
    "title",
    "source",
    "kind",
    "claim",
    "metrics",
    "rows",
    "set",
    "vary",
    "columns",
    "label",
    "nodes",
    "seeds",
    "data",
    "published",
)


@dataclass(frozen=True)
class Row:
    """A model of an experiment.

    Attributes:
        name: how the table calls it.
        model: the class by its name or its path.
        overrides: what differs from the model's settings for the data, by dotted keys into the form of a run's file,
            such as ``{"model.init_args.gamma": 0}``.
        own: those of them that the row sets itself, which make it what its name says; the rest holds for all rows.
    """

    name: str
    model: str
    overrides: Mapping[str, Any]
    own: Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """An experiment: a file of ``experiments/paper``, or one of your own in the same form.

    Attributes:
        name: the name of its file.
        title: one line.
        kind: one of :data:`KINDS`.
        source: where the paper has it; empty for an experiment of your own.
        claim: what the paper says that it shows, in words.
        metrics: test metrics, such as ``recall@20``.
        rows: the models.
        vary: values of one or two settings, by dotted keys; ``modality_weight`` is the weight of the first modality
            (of ``image`` where there is one), the others share the rest equally.
        columns: columns of ``metrics.csv`` and what they are called.
        label: of the axis.
        nodes: how many nodes are drawn.
        seeds: how many, from 0 on.
        data: the data set, where none is asked for.
        published: by data set and row, the values in the order of ``metrics``.
    """

    name: str
    title: str
    kind: str
    source: str
    claim: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    vary: Mapping[str, list[Any]]
    columns: Mapping[str, str]
    label: str
    nodes: int
    seeds: int
    data: str | None
    published: Mapping[str, Mapping[str, list[float | None]]]

    @property
    def points(self) -> str | None:
        """The file in a run's folder that the picture is drawn from; None: its numbers are enough."""
        return f"tsne-{self.nodes}.npz" if self.kind == "tsne" else None

    @property
    def watch(self) -> frozenset[str]:
        """What is recorded beside the metrics while the runs train: ``"lines"``, ``"gradients"``."""
        return frozenset({"curve": {"lines"}, "gradients": {"gradients"}}.get(self.kind, ()))

    def published_for(self, data: str) -> Mapping[str, Mapping[str, float]]:
        """The paper's values, by row and metric, where it has the data set whose name ``data`` contains as a word."""
        words = "".join(letter if letter.isalnum() else " " for letter in data.lower()).split()
        for name, rows in self.published.items():
            if name.lower() in words:
                named = {row: zip(self.metrics, values, strict=True) for row, values in rows.items()}
                return {
                    row: {metric: value for metric, value in values if value is not None}
                    for row, values in named.items()
                }
        return {}

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any]) -> "Spec":
        """Check the content of a file.

        Raises:
            ValueError: where a name is missing or unknown, or does not fit the kind.
        """
        where = f"The experiment '{name}'"
        for key in config:
            check_choice(_KEYS, **{f"a key of the experiment '{name}'": key})
        check_choice(KINDS, kind=config.get("kind"))
        _check_forms(where, config)
        kind, common = config["kind"], config.get("set") or {}
        rows = _rows(where, config.get("rows") or [], common)
        if (kind == "statistics") != (not rows):
            raise ValueError(f"{where} must {'have no' if rows else 'name its'} 'rows' (kind '{kind}').")
        vary = _vary(where, kind, config)
        columns = config.get("columns") or {}
        if (kind == "curve") != bool(columns):
            raise ValueError(f"{where} must name its 'columns' if it is a curve, and only then.")
        metrics = _metrics(kind, config)
        published = config.get("published") or {}
        names = {"All"} if kind == "statistics" else {row.name for row in rows}
        for data, values in published.items():
            _check_published(where, data, values, names, metrics)
        seeds, nodes = config.get("seeds", 1), config.get("nodes", 1000)
        check_at_least(1, seeds=seeds, nodes=nodes)
        return cls(
            name=name,
            title=config.get("title") or name,
            kind=kind,
            source=config.get("source") or "",
            claim=config.get("claim") or "",
            metrics=metrics,
            rows=rows,
            vary=vary,
            columns=dict(columns),
            label=config.get("label") or "",
            nodes=nodes,
            seeds=seeds,
            data=config.get("data"),
            published=published,
        )


def _check_forms(where: str, config: Mapping[str, Any]) -> None:
    """Texts, mappings and lists, before anything looks into them."""
    for key in ("title", "source", "claim", "label", "data"):
        _check_form(f"{where} must give '{key}' as text", config.get(key), str)
    for key in ("set", "vary", "columns", "published"):
        _check_form(f"{where} must give '{key}' as a mapping of names to values", config.get(key), Mapping)
    _check_form(f"{where} must give 'metrics' as a list, such as [recall@20]", config.get("metrics"), list)
    _check_form(
        f"{where} must give 'rows' as a list of models, or as a mapping of names to models",
        config.get("rows"),
        (list, Mapping),
    )


def _vary(where: str, kind: str, config: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values of the settings that vary, which only a sweep has."""
    for key, values in (config.get("vary") or {}).items():
        _check_form(f"{where} must give '{key}' in 'vary' as a list of values", values, list)
        _check_values(where, key, values or [])
    vary = {key: list(values) for key, values in (config.get("vary") or {}).items()}
    if (kind == "sweep") != (len(vary) in (1, 2)) or any(len(values) < 1 for values in vary.values()):
        raise ValueError(
            f"{where} must name the values of one or two settings in 'vary' if it is a sweep, and only then "
            f"(got {vary} for kind '{kind}')."
        )
    return vary


def _metrics(kind: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """What is shown: of the data, or of the runs."""
    metrics = tuple(config.get("metrics") or (STATISTICS if kind == "statistics" else ("recall@20", "ndcg@20")))
    if kind == "statistics":
        for metric in metrics:
            check_choice(STATISTICS, metrics=metric)
    return metrics


def _check_form(message: str, value: Any, form: type | tuple[type, ...]) -> None:
    """A value of the right form; one that is left out (None) will do, too."""
    if value is not None and not isinstance(value, form):
        raise ValueError(f"{message} (got {value!r}).")


def _check_values(where: str, key: str, values: list[Any]) -> None:
    """Values that are told apart by what tables and axes print."""
    if any(isinstance(value, Mapping | list) for value in values):
        raise ValueError(f"{where} must give '{key}' in 'vary' single values, as numbers or words (got {values}).")
    if len({point_text(value) for value in values}) < len(values):
        raise ValueError(f"{where} must give '{key}' in 'vary' values that are distinct to six digits (got {values}).")
    if key == "modality_weight" and not all(_is_number(value) and 0 <= value <= 1 for value in values):
        raise ValueError(f"{where} must give '{key}' in 'vary' numbers from 0 to 1 (got {values}).")


def _check_published(where: str, data: str, values: Any, names: set[str], metrics: tuple[str, ...]) -> None:
    message = (
        f"{where} must publish for {data} a list of numbers per row, one per metric, null where the paper has none"
    )
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"{message} (got {values!r}).")
    for row, numbers in values.items():
        check_choice(sorted(names), **{f"a row of 'published' for {data}": str(row)})
        if not isinstance(numbers, list) or not all(number is None or _is_number(number) for number in numbers):
            raise ValueError(f"{message} (got {numbers!r} for '{row}').")
        if len(numbers) != len(metrics):
            raise ValueError(f"{where} must publish a value per metric (got {numbers} for {list(metrics)}).")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def point_text(value: Any) -> str:
    """How a value of a setting that varies is printed."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rows(where: str, given: Any, common: Mapping[str, Any]) -> tuple[Row, ...]:
    """A list of models, or a mapping of names to models, or to ``{model: ..., set: {...}}``."""
    named = given if isinstance(given, Mapping) else {str(model).rpartition(".")[2]: model for model in given}
    if len(named) < len(given):
        raise ValueError(f"{where} must give its rows distinct names (got {given}): write 'rows' as a mapping.")
    rows = []
    for name, content in named.items():
        if not isinstance(content, str):
            _check_form(f"The row '{name}' must be a model, or a mapping of 'model' and 'set'", content, Mapping)
        row: dict[str, Any] = {"model": content} if isinstance(content, str) else dict(content or {})
        for key in row:
            check_choice(("model", "set"), **{f"a key of the row '{name}'": key})
        if "model" not in row:
            raise ValueError(f"The row '{name}' must name its 'model'.")
        _check_form(f"The row '{name}' must give 'model' as text", row["model"], str)
        _check_form(f"The row '{name}' must give 'set' as a mapping of names to values", row.get("set"), Mapping)
        try:
            model_class(row["model"])
        except (ValueError, ImportError) as error:
            raise ValueError(f"The row '{name}' names no model: {error}") from error
        own = dict(row.get("set") or {})
        rows.append(Row(str(name), row["model"], {**common, **own}, own))
    return tuple(rows)


def paper_names() -> list[str]:
    """The paper's tables and figures, in its order of kinds.

    Example:
        >>> paper_names()[:2]
        ['table1', 'table2']
    """
    names = (path.name.removesuffix(".yaml") for path in _paper().iterdir() if path.name.endswith(".yaml"))
    return sorted(names, key=lambda name: (not name.startswith("table"), name))


def read_spec(name: str | Path) -> Spec:
    """An experiment of the paper by its name, or a file of your own by its path.

    Raises:
        FileNotFoundError: where it is neither.
        ValueError: where the file does not hold an experiment.
    """
    if str(name) in paper_names():
        with_path = Path(str(_paper() / f"{name}.yaml"))
        return Spec.from_config(str(name), read_yaml(with_path))
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"'{name}' is neither a table or figure of the paper ({', '.join(paper_names())}) nor a file."
        )
    return Spec.from_config(path.stem, read_yaml(path))


def _paper() -> Any:
    return files("drepm_pyg.experiments") / "paper"
