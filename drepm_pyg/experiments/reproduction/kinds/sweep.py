"""Figures 8 and 9: a metric over one or two settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drepm_pyg.experiments.canvas import COLORS, MARKERS, STYLES, canvas
from drepm_pyg.experiments.reproduction.kinds.whiskers import whiskers, whiskers_caption
from drepm_pyg.experiments.reproduction.marks import marks, pair_records
from drepm_pyg.experiments.reproduction.measured import Measured, failures
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.plan import Context, first_modality
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec, point_text
from drepm_pyg.experiments.reproduction.table import Cell, Table, measured_cell

__all__ = ["make_sweep"]

_Records = Sequence[Mapping[str, Any]]


def make_sweep(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """A line per model over one setting, a field per model over two; the table marks points as rows of other tables."""
    records: list[dict[str, Any]] = []
    tests = []
    for metric in spec.metrics:
        for row in spec.rows:
            own = [each for each in measured if each.row == row.name]
            values = {_point(each): users for each in own if (users := each.users(metric)) is not None}
            marked, pairs = marks(metric, values)
            tests += [{"model": row.name, **told} for told in pair_records(metric, pairs)]
            records += [
                record(
                    spec.name,
                    row.name,
                    metric,
                    **each.record(metric),
                    point=_point(each),
                    mark=marked.get(_point(each), ""),
                )
                for each in own
            ]
    axis = [_axis(spec, key, context) for key in spec.vary]
    path = context.folder / spec.name
    if len(spec.vary) == 1:
        _draw_lines(path, spec, records, axis[0])
        spread = whiskers_caption(records)
    else:
        _draw_fields(path, spec, measured, axis)
        spread = ""
    return Output(
        spec,
        records,
        [_table(spec, records, " and ".join(axis), context)],
        path,
        f"Test {', '.join(spec.metrics)} over {' and '.join(axis)}, {context.label}{spread}. The values stand at "
        "equal distances, whatever lies between them.",
        ["The point with the largest test value is no choice of a setting: that is made on validation."],
        tests,
        failures(measured),
    )


def _point(each: Measured) -> str:
    return ", ".join(map(point_text, each.point))


def _axis(spec: Spec, key: str, context: Context) -> str:
    if key == "modality_weight":
        return f"weight of the {first_modality(context.data)} modality"
    return spec.label if spec.label and len(spec.vary) == 1 else key.rpartition(".")[2]


def _table(spec: Spec, records: _Records, axis: str, context: Context) -> Table:
    several = len(spec.rows) > 1
    rows = []
    for row, point in dict.fromkeys((each["row"], each["point"]) for each in records):
        own = [dict(each) for each in records if (each["row"], each["point"]) == (row, point)]
        cells = [Cell(point), Cell(str(own[0]["seeds"] or "failed")), *map(measured_cell, own)]
        rows.append([Cell(row), *cells] if several else cells)
    header = [axis, "seeds", *spec.metrics]
    return Table(f"{spec.title}: {context.label}", ["model", *header] if several else header, rows)


def _draw_lines(path: Path, spec: Spec, records: _Records, axis: str) -> None:
    with canvas(path, columns=len(spec.metrics)) as drawn:
        for axes, metric in zip(drawn, spec.metrics, strict=True):
            points = list(dict.fromkeys(each["point"] for each in records))
            for place, row in enumerate(spec.rows):
                own = [
                    each
                    for each in records
                    if (each["row"], each["metric"]) == (row.name, metric) and each["mean"] is not None
                ]
                axes.errorbar(
                    [points.index(each["point"]) for each in own],
                    [each["mean"] for each in own],
                    yerr=whiskers(own),
                    color=COLORS[place % len(COLORS)],
                    linestyle=STYLES[place % len(STYLES)],
                    marker=MARKERS[place % len(MARKERS)],
                    linewidth=1.6,
                    capsize=3,
                    label=row.name,
                )
            axes.set_xticks(range(len(points)), points)
            axes.set_xlabel(axis)
            axes.set_ylabel(f"test {metric} (mean over users)")
            axes.legend(frameon=False, fontsize=9)


def _draw_fields(path: Path, spec: Spec, measured: Sequence[Measured], axis: Sequence[str]) -> None:
    across, down = (list(dict.fromkeys(values)) for values in zip(*(each.point for each in measured), strict=True))
    panels = [(row.name, metric) for row in spec.rows for metric in spec.metrics]
    with canvas(path, columns=len(panels)) as drawn:
        for axes, (row, metric) in zip(drawn, panels, strict=True):
            found = {each.point: each.record(metric)["mean"] for each in measured if each.row == row}
            field = [[found.get((x, y)) for x in across] for y in down]
            image = axes.imshow(
                [[float("nan") if value is None else value for value in line] for line in field],
                cmap="cividis",  # its lightness grows with the value: it prints in grey
                origin="lower",
                aspect="auto",
            )
            axes.figure.colorbar(image, ax=axes, label=f"test {metric} (mean over users)")
            axes.set_xticks(range(len(across)), [point_text(value) for value in across])
            axes.set_yticks(range(len(down)), [point_text(value) for value in down])
            axes.set_xlabel(axis[0])
            axes.set_ylabel(axis[1])
            axes.set_title(row, fontsize=10)
            axes.grid(visible=False)
