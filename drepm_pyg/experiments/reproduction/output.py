"""What an experiment gave, and its files: numbers, tables, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drepm_pyg.experiments.reproduction.records import to_csv
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Table

__all__ = ["SHORT", "Output", "write"]

#: What stands beside the results of a short call.
SHORT = "SHORT: made to see that everything works; the numbers mean nothing."


@dataclass(frozen=True)
class Output:
    """A table or a figure that was made again.

    Attributes:
        spec: the experiment.
        records: its numbers in the long form of :func:`~drepm_pyg.experiments.reproduction.records.record`.
        tables: the same for readers; the first one is the result.
        figure: path of the picture without suffix (``.png`` and ``.svg`` stand there); None for a table.
        caption: what the picture shows and how it was made.
        notes: what a reader should know before believing it.
        tests: the paired tests behind the marks, a record each.
        failures: one line per run that failed.
    """

    spec: Spec
    records: Sequence[Mapping[str, Any]]
    tables: Sequence[Table] = ()
    figure: Path | None = None
    caption: str = ""
    notes: Sequence[str] = ()
    tests: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[str] = field(default_factory=tuple)

    def to_markdown(self) -> str:
        """The experiment for a terminal or a page; the picture is named by its file."""
        spec = self.spec
        parts = [f"## {spec.name}: {spec.title}", *([f"Source: {spec.source}."] if spec.source else [])]
        parts += [f"Claim: {spec.claim}"] if spec.claim else []
        parts += [f"### {table.title}\n\n{table.to_markdown()}" for table in self.tables]
        parts += [f"![{spec.title}]({self.figure.name}.png)\n\n{self.caption}"] if self.figure is not None else []
        parts += [f"- {note}" for note in self.notes]
        parts += [f"- FAILED, {failure}" for failure in self.failures]
        return "\n\n".join(parts)


def write(output: Output, folder: Path) -> None:
    """``<name>.csv``, ``.md`` and, with tables, ``.tex``; ``<name>.tests.csv`` where rows were compared.

    What an earlier call left of a table or figure that cannot be made any more is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = output.spec.name
    texts = {f"{name}.csv": to_csv(output.records), f"{name}.md": output.to_markdown() + "\n"}
    if output.tables:
        texts[f"{name}.tex"] = "\n\n".join(table.to_latex() for table in output.tables) + "\n"
    if output.tests:
        texts[f"{name}.tests.csv"] = to_csv(output.tests, list(output.tests[0]))
    drawn = () if output.figure is None else (f"{name}.png", f"{name}.svg")
    for stale in {f"{name}.tex", f"{name}.tests.csv", f"{name}.png", f"{name}.svg"} - {*texts, *drawn}:
        (folder / stale).unlink(missing_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8", newline="")
