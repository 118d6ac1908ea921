"""Figure 6: numbers of every epoch, of several models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from drepm_pyg.experiments.canvas import COLORS, STYLES, canvas
from drepm_pyg.experiments.reproduction.measured import Measured, failures
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Cell, Table
from drepm_pyg.training import read_metrics, read_result
from drepm_pyg.training.metrics_file import read_numbers
from drepm_pyg.training.run import METRICS

__all__ = ["Curve", "curve_of", "landmarks", "make_curve"]

Curve = dict[int, float]


def make_curve(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """A set of axes per column, a line per model; the table has the first, the least, and the best epoch's value."""
    records, rows = [], []
    lost = failures(measured)
    curves: dict[tuple[str, str], Curve] = {}
    for each in measured:
        for shown, column in spec.columns.items():
            found = [_column(place.folder, column) for place in each.places]
            if found and not any(found):
                lost.append(f"{each.row}: its epochs have no column '{column}' (they have {_known(each)})")
            curves[each.row, shown] = curve_of(found)
            values = landmarks(found, [read_result(place.folder)["best_epoch"] for place in each.places])
            rows.append([Cell(each.row), Cell(shown), *(Cell(_show(value)) for value in values.values())])
            for landmark, value in values.items():
                records.append(record(spec.name, each.row, column, mean=value, seeds=len(found), point=landmark))
    path = context.folder / spec.name
    _draw(path, spec, measured, curves)
    header = ["model", "", "first epoch", "least", "best epoch", "last epoch"]
    return Output(
        spec,
        records,
        [Table(f"{spec.title}: {context.label}", header, rows)],
        path,
        f"{spec.title}, {context.label}; mean over the seeds that are still training at the epoch. The best epoch is "
        "that of the weights which are kept.",
        failures=lost,
    )


def curve_of(seeds: Sequence[Mapping[int, float]]) -> Curve:
    """The mean by epoch over the seeds that have the epoch.

    Example:
        >>> curve_of([{0: 1.0, 1: 3.0}, {0: 2.0}])
        {0: 1.5, 1: 3.0}
    """
    epochs = sorted({epoch for each in seeds for epoch in each})
    return {epoch: mean(each[epoch] for each in seeds if epoch in each) for epoch in epochs}


def _column(folder: Path, column: str) -> Curve:
    return {int(row["epoch"]): row[column] for row in read_numbers(folder / METRICS) if column in row}


def _known(each: Measured) -> str:
    names = dict.fromkeys(name for place in each.places for row in read_metrics(place.folder / METRICS) for name in row)
    return ", ".join(names) or "none: nothing was trained"


def landmarks(seeds: Sequence[Curve], best: Sequence[int]) -> dict[str, float | None]:
    """Means over the seeds that have a value there; None where none has.

    Args:
        seeds: the curve of each.
        best: the epoch of the weights that each kept.

    Example:
        >>> landmarks([{0: 1.0, 1: 3.0}, {0: 2.0}], best=[1, 1])
        {'first epoch': 1.5, 'least': 1.5, 'best epoch': 3.0, 'last epoch': 2.5}
    """
    known = [(each, epoch) for each, epoch in zip(seeds, best, strict=True) if each]
    values = {
        "first epoch": [each[min(each)] for each, _ in known],
        "least": [min(each.values()) for each, _ in known],
        "best epoch": [each[epoch] for each, epoch in known if epoch in each],
        "last epoch": [each[max(each)] for each, _ in known],
    }
    return {name: mean(found) if found else None for name, found in values.items()}


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _draw(path: Path, spec: Spec, measured: Sequence[Measured], curves: Mapping[tuple[str, str], Curve]) -> None:
    with canvas(path, columns=len(spec.columns)) as drawn:
        for axes, shown in zip(drawn, spec.columns, strict=True):
            for place, each in enumerate(measured):
                curve = curves[each.row, shown]
                axes.plot(
                    list(curve),
                    list(curve.values()),
                    color=COLORS[place % len(COLORS)],
                    linestyle=STYLES[place % len(STYLES)],
                    marker="o" if len(curve) == 1 else "",
                    linewidth=1.6,
                    label=each.row,
                )
            axes.set_title(shown, fontsize=10)
            axes.set_xlabel("epoch")
            axes.set_ylabel(spec.label or spec.columns[shown])
            axes.locator_params(axis="x", integer=True)
            axes.legend(frameon=False, fontsize=9)
