"""Tables: printed, and kept as JSON with the machine, the command and the commit that made them."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from drepm_pyg._markdown import markdown_table
from kit.machine import describe, revision

RESULTS = Path(__file__).parents[1] / "results"


def parser(doc: str | None, *, case: bool = False) -> argparse.ArgumentParser:
    """The options of every benchmark; ``case`` for those that run parts of themselves in processes of their own."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--quick", action="store_true", help="toy sizes: does it run? Nothing is learnt from the times"
    )
    options.add_argument("--out", type=Path, help="the JSON file (default: benchmarks/results/<script>.json)")
    if case:
        options.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    return options


def show_case(result: Mapping[str, object]) -> None:
    """The answer of a process that was started with ``--case``: its last line."""
    print(json.dumps(dict(result)))


class Report:
    """The tables of one script.

    Tables of an earlier run on the same machine stay in the file unless they are measured again, so that a script can
    be run part by part. A quick run goes to another folder by default: its numbers are not to be published.

    Args:
        args: what :func:`parser` parsed.
        device: what was measured.
        limits: measured rates of the machine, where ratios to them are shown.
    """

    def __init__(
        self, args: argparse.Namespace, *, device: str = "cpu", limits: Mapping[str, float] | None = None
    ) -> None:
        script = Path(sys.argv[0])
        self.command = " ".join(["python", f"benchmarks/{script.name}", *_without_out(sys.argv[1:])])
        self.path = args.out or RESULTS / ("quick" if args.quick else "") / f"{script.stem}.json"
        self.machine, self.limits = describe(device), dict(limits or {})
        self.commit = revision()
        if limits:
            print(", ".join(f"{name} {value:,.1f}" for name, value in limits.items()), "\n")

    def table(
        self, name: str, title: str, rows: Sequence[Mapping[str, object]], *, note: str = "", **facts: object
    ) -> None:
        """Print a table and write it into the file.

        Args:
            name: of the table in the file and in the documentation.
            title: one line that says what was measured at what size.
            rows: the cells of each row by column; the first row has all columns.
            note: what to know when reading it.
            facts: further numbers for the file, such as fitted exponents.
        """
        header = list(rows[0])
        print(f"{title}\n")
        print(markdown_table(header, [[shown(row.get(column, "")) for column in header] for row in rows]))
        print(f"\n{note}\n" if note else "")
        content = json.loads(self.path.read_text()) if self.path.exists() else {}
        kept = content.get("tables", {}) if content.get("machine") == self.machine else {}
        made = {"command": self.command, "commit": self.commit, "limits": self.limits, **facts}
        kept[name] = {"title": title, "note": note, **made, "rows": [dict(row) for row in rows]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"machine": self.machine, "tables": kept}, indent=2) + "\n")


def shown(cell: object) -> str:
    """A cell for the eye: three digits that count, thousands apart, nothing for None."""
    if cell is None:
        return ""
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def ratio(value: float | None, to: float | None) -> float | None:
    """``value / to``, or None where one of them could not be measured."""
    return None if value is None or not to else value / to


def _without_out(words: Sequence[str]) -> list[str]:
    """The command line as one would type it again: where the file went does not matter."""
    kept, skip = [], False
    for word in words:
        if not skip and word != "--out" and not word.startswith("--out="):
            kept.append(word)
        skip = word == "--out"
    return kept
