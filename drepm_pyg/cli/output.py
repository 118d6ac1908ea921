"""Results on stdout: as a table, as JSON, as CSV."""

import csv
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from drepm_pyg._markdown import markdown_table

__all__ = ["show"]


def show(result: Mapping[str, Any] | Sequence[Mapping[str, Any]], form: str, *, ids: Collection[str] = ()) -> None:
    """Print one record, or a row per record; the first record names the columns.

    Args:
        result: a record, or a list of records with the same keys.
        form: 'table' (a record stands upright, a name a line), 'json' (an object, or an array of objects), or 'csv'.
        ids: the columns whose numbers are names, and are printed as they can be asked for.
    """
    if form == "json":
        print(json.dumps(result, indent=2, ensure_ascii=False, default=str))
        return
    records = [result] if isinstance(result, Mapping) else list(result)
    if not records:
        return
    header = list(records[0])
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell_of_mapping(value) for name, value in record.items()} for record in records)
    elif isinstance(result, Mapping):
        print(markdown_table(["", ""], [[name, _cell(value)] for name, value in result.items()]))
    else:
        print(markdown_table(header, [_row(record, header, ids) for record in records]))


def _row(record: Mapping[str, Any], header: Sequence[str], ids: Collection[str]) -> list[str]:
    return [str(record[name]) if name in ids else _cell(record[name]) for name in header]


def _cell_of_mapping(value: Any) -> Any:
    """A mapping in one cell: ``name: value`` after another; every other value as it is."""
    return ", ".join(f"{name}: {_cell(part)}" for name, part in value.items()) if isinstance(value, Mapping) else value


def _cell(value: Any) -> str:
    value = _cell_of_mapping(value)
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
