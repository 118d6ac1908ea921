"""``.. benchmark:: script table``: a table that a script of benchmarks/ wrote, with the command that made it."""

import json
import re
from typing import Any

from kit.report import RESULTS, shown
from package_pages import RstDirective, list_table
from sphinx.application import Sphinx

__all__ = ["BenchmarkTable"]


class BenchmarkTable(RstDirective):
    """One table of ``benchmarks/results/<script>.json``, or a sentence that says that nothing was measured yet.

    The name of the table may be left out: then all tables of the file are shown.
    """

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True

    def lines(self) -> list[str]:
        script, *chosen = self.arguments
        path = RESULTS / f"{script}.json"
        self.env.note_dependency(str(path))
        content = json.loads(path.read_text()) if path.exists() else {"tables": {}}
        tables = {name: table for name, table in content["tables"].items() if not chosen or name == chosen[0]}
        if not tables:
            return [f"*Not measured yet* (``python benchmarks/{script}.py`` measures it)."]
        return [line for table in tables.values() for line in _table(table, content["machine"])]


def _table(table: dict[str, Any], machine: dict[str, Any]) -> list[str]:
    header = list(table["rows"][0])
    rows = [[_plain(shown(row.get(column, ""))) for column in header] for row in table["rows"]]
    limits = "".join(f", {name.replace('_', ' ')} {value:,.0f}" for name, value in table["limits"].items())
    made = (
        f"Made by ``{table['command']}`` at commit {table['commit']} on {machine['device']}: {machine['processor']}, "
        f"{machine['threads']} threads, torch {machine['packages']['torch']}{limits}."
    )
    title, note = _plain(table["title"]), _plain(table["note"])
    return [f"**{title}**", "", *list_table(header, rows), *([note, ""] if note else []), made, ""]


def _plain(text: str) -> str:
    """Text in which nothing is markup."""
    return re.sub(r"([\\`*_|])", r"\\\1", text)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("benchmark", BenchmarkTable)
    return {"parallel_read_safe": True}
