"""Figure 5: what the behaviour, the modal and the general representation are worth apart."""

from collections.abc import Sequence
from typing import Any

from drepm_pyg.experiments.canvas import COLORS, HATCHES, canvas
from drepm_pyg.experiments.reproduction.kinds.whiskers import whiskers, whiskers_caption
from drepm_pyg.experiments.reproduction.marks import marks, pair_records
from drepm_pyg.experiments.reproduction.measured import Measured, failures
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Cell, Table, measured_cell
from drepm_pyg.experiments.reproduction.users_file import LINES

__all__ = ["make_lines"]


def make_lines(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """Bars by metric and line, with the standard deviation over the seeds."""
    records, tests = [], []
    for metric in spec.metrics:
        values = {
            _name(measured, each, shown): users
            for each in measured
            for line, shown in LINES.items()
            if (users := each.users(metric, line)) is not None
        }
        marked, pairs = marks(metric, values)
        tests += pair_records(metric, pairs)
        for each in measured:
            for line, shown in LINES.items():
                name = _name(measured, each, shown)
                mark = marked.get(name, "")
                records.append(record(spec.name, name, metric, **each.record(metric, line), mark=mark))
    names = list(dict.fromkeys(each["row"] for each in records))
    rows = [[Cell(name), *(measured_cell(each) for each in records if each["row"] == name)] for name in names]
    path = context.folder / spec.name
    _draw(path, records, names, spec)
    seeds = max((len(each.places) for each in measured), default=0)
    return Output(
        spec,
        records,
        [Table(f"{spec.title}: {context.label}", ["representation", *spec.metrics], rows)],
        path,
        f"Test metrics of each representation ranked by itself, {context.label}; mean over seeds ({seeds})"
        f"{whiskers_caption(records)}.",
        tests=tests,
        failures=failures(measured),
    )


def _name(measured: Sequence[Measured], each: Measured, line: str) -> str:
    return line if len(measured) == 1 else f"{each.row}, {line}"


def _draw(path: Any, records: Sequence[dict[str, Any]], names: Sequence[str], spec: Spec) -> None:
    with canvas(path) as (axes,):
        width = 0.8 / len(names)
        for place, name in enumerate(names):
            own = [each for each in records if each["row"] == name and each["mean"] is not None]
            where = [spec.metrics.index(each["metric"]) + (place - (len(names) - 1) / 2) * width for each in own]
            bars = axes.bar(
                where,
                [each["mean"] for each in own],
                width * 0.92,
                yerr=whiskers(own),
                error_kw={"elinewidth": 1, "capsize": 2},
                color=COLORS[place % len(COLORS)],
                hatch=HATCHES[place % len(HATCHES)],
                edgecolor="white",
                label=name,
            )
            axes.bar_label(bars, fmt="%.3f", fontsize=8, padding=2)
        axes.set_xticks(range(len(spec.metrics)), [_title(metric) for metric in spec.metrics])
        axes.set_ylabel("test metric (mean over users)")
        axes.margins(y=0.2)
        axes.legend(frameon=False, ncols=3, loc="upper right", fontsize=9)


def _title(metric: str) -> str:
    name, _, k = metric.partition("@")
    return f"{name.upper() if name in ('ndcg', 'map', 'mrr') else name.capitalize()}@{k}"
