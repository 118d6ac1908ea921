"""A table of results, and its forms: Markdown, LaTeX (booktabs) and HTML."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drepm_pyg._markdown import markdown_table

__all__ = ["Cell", "Table", "latex_escape", "measured_cell", "percent_cell"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": "$-$",
}


@dataclass(frozen=True)
class Cell:
    """A text, the deviation that follows it, and whether it is marked.

    Attributes:
        text: as it is shown.
        deviation: shown after a plus-minus sign; empty where there is none.
        mark: ``"best"`` (bold), ``"second"`` (underlined), or nothing.
    """

    text: str
    deviation: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Cells under a header.

    Attributes:
        title: what it shows.
        header: a name per column.
        rows: the cells; the first column stands left, the others right.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def to_markdown(self) -> str:
        """Columns that line up; underlined with HTML's tag, which Markdown lacks."""
        tags = {"best": "**{}**", "second": "<u>{}</u>"}

        def show(cell: Cell) -> str:
            text = tags.get(cell.mark, "{}").format(cell.text.replace("|", "\\|"))
            return f"{text} ± {cell.deviation}" if cell.deviation else text

        header = [name.replace("|", "\\|") for name in self.header]
        return markdown_table(header, [[show(cell) for cell in row] for row in self.rows])

    def to_latex(self) -> str:
        """For the package booktabs, in a ``table`` with its caption."""
        tags = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}

        def show(cell: Cell) -> str:
            text = tags.get(cell.mark, "%s") % latex_escape(cell.text)
            return rf"{text} {{\scriptsize $\pm$ {latex_escape(cell.deviation)}}}" if cell.deviation else text

        lines = [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex_escape(self.title)}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
            r"    \toprule",
            f"    {' & '.join(map(latex_escape, self.header))} \\\\",
            r"    \midrule",
            *(f"    {' & '.join(map(show, row))} \\\\" for row in self.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines)

    def to_html(self) -> str:
        """A ``table`` element with its caption."""
        tags = {"best": "<strong>{}</strong>", "second": "<u>{}</u>"}

        def show(cell: Cell) -> str:
            text = tags.get(cell.mark, "{}").format(html.escape(cell.text))
            return f'{text} <span class="deviation">± {html.escape(cell.deviation)}</span>' if cell.deviation else text

        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.header)
        body = "".join(
            f'<tr><th scope="row">{show(row[0])}</th>'
            + "".join(f"<td>{show(cell)}</td>" for cell in row[1:])
            + "</tr>\n"
            for row in self.rows
        )
        head = f"<thead><tr>{head}</tr></thead>\n" if any(self.header) else ""
        caption = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{caption}\n{head}<tbody>\n{body}</tbody></table>"


def latex_escape(text: str) -> str:
    r"""The text with every character that LaTeX reads as a command written out.

    Example:
        >>> print(latex_escape("50% of x_1 & more"))
        50\% of x\_1 \& more
    """
    return "".join(_LATEX.get(letter, letter) for letter in text)


def measured_cell(record: dict[str, Any]) -> Cell:
    """Four decimals of a record's mean, its deviation over the seeds, its mark; a hyphen where there is no value."""
    if record["mean"] is None:
        return Cell("-")
    deviation = "" if record["deviation"] is None else f"{record['deviation']:.4f}"
    return Cell(f"{record['mean']:.4f}", deviation, record["mark"])


def percent_cell(value: float | None) -> Cell:
    """A difference in percent, with its sign."""
    return Cell("-" if value is None else f"{value:+.1f} %")
