"""Tables 2-4: models by metrics, what the paper has beside them, and bold only where it is established."""

from collections.abc import Mapping, Sequence
from typing import Any

from drepm_pyg.experiments.reproduction.marks import marks, pair_records
from drepm_pyg.experiments.reproduction.measured import Measured, failures
from drepm_pyg.experiments.reproduction.output import SHORT, Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Cell, Table, measured_cell, percent_cell

__all__ = ["make_table"]


def make_table(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """A row per model, and the paper's values beside ours where it has this data set, below it where it has others."""
    published = spec.published_for(context.label)
    records, tests = [], []
    for metric in spec.metrics:
        values = {each.row: users for each in measured if (users := each.users(metric)) is not None}
        marked, pairs = marks(metric, values)
        tests += pair_records(metric, pairs)
        for each in measured:
            paper = published.get(each.row, {}).get(metric)
            mark = marked.get(each.row, "")
            records.append(record(spec.name, each.row, metric, **each.record(metric), mark=mark, published=paper))
    return Output(
        spec,
        records,
        [_table(spec, records, context, bool(published)), *_as_published(spec)],
        notes=_notes(measured, context),
        tests=tests,
        failures=failures(measured),
    )


def _table(spec: Spec, records: Sequence[dict[str, Any]], context: Context, beside: bool) -> Table:
    header = ["model", "seeds"]
    for metric in spec.metrics:
        header += [metric, "published", "difference"] if beside else [metric]
    rows = []
    for row in spec.rows:
        own: Mapping[str, dict[str, Any]] = {each["metric"]: each for each in records if each["row"] == row.name}
        cells = [Cell(row.name), Cell(str(own[spec.metrics[0]]["seeds"] or "failed"))]
        for metric in spec.metrics:
            cells.append(measured_cell(own[metric]))
            if beside:
                value = own[metric]["published"]
                cells += [Cell("-" if value is None else f"{value:.4f}"), percent_cell(own[metric]["difference"])]
        rows.append(cells)
    return Table(f"{spec.title}: {context.label}", header, rows)


def _as_published(spec: Spec) -> list[Table]:
    """All that the paper prints, with its own bold left out: it rests on no test."""
    if not spec.published:
        return []
    header = ["model", *(f"{data} {metric}" for data in spec.published for metric in spec.metrics)]
    rows = [
        [
            Cell(row.name),
            *(
                Cell("-" if value is None else f"{value:.4f}")
                for values in spec.published.values()
                for value in values.get(row.name, [None] * len(spec.metrics))
            ),
        ]
        for row in spec.rows
    ]
    return [Table(f"As published ({spec.source})" if spec.source else "As published", header, rows)]


def _notes(measured: Sequence[Measured], context: Context) -> list[str]:
    notes = [
        "Mean over all users with test pairs and over the seeds; the standard deviation is that of the seeds' means. "
        "Bold: the best, and underlined: the second, where the paired t-test and Wilcoxon's test over users both "
        "separate it from every row below it (Holm's correction over all pairs of rows, 5 %)."
    ]
    if any(len(each.places) < 2 for each in measured):
        notes.append("A row with one seed has no standard deviation: the tests then speak of users, not of seeds.")
    if context.short:
        notes.append(SHORT)
    return notes
