"""Tables: marks that rest on tests, and forms that survive any text."""

import re

import numpy as np
import pytest

from drepm_pyg.experiments.reproduction.marks import marks
from drepm_pyg.experiments.reproduction.records import record, to_csv
from drepm_pyg.experiments.reproduction.table import Cell, Table, latex_escape, measured_cell, percent_cell

NOISE = np.random.default_rng(0).normal(scale=0.1, size=(4, 1, 300))


def rows(*levels: float) -> dict[str, np.ndarray]:
    return {f"row{place}": level + NOISE[place] for place, level in enumerate(levels)}


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((1.0, 2.0, 3.0), {"row2": "best", "row1": "second"}),
        ((1.0, 2.0), {"row1": "best"}),  # the last of two has nobody to be better than
        ((1.0, 3.0, 3.0), {}),  # two that cannot be told apart: no best, and so no second
        ((2.0, 2.0, 3.0), {"row2": "best"}),
        ((1.0,), {}),
    ],
)
def test_only_what_the_tests_establish_is_marked(levels: tuple[float, ...], expected: dict[str, str]) -> None:
    assert marks("m", rows(*levels))[0] == expected


def test_the_best_must_be_told_from_every_row_below_not_from_the_next_alone() -> None:
    # The third is worse by more than the second, and so scattered that it may as well be better.
    rng = np.random.default_rng(1)
    base = rng.normal(scale=0.1, size=(1, 300))
    close, scattered = base - 0.05 + 0.01 * rng.normal(size=(1, 300)), base - 0.06 + 3 * rng.normal(size=(1, 300))
    scattered += base.mean() - 0.06 - scattered.mean()
    assert marks("m", {"first": base, "close": close})[0] == {"first": "best"}
    assert marks("m", {"first": base, "close": close, "scattered": scattered})[0] == {}


def test_both_tests_must_agree() -> None:
    # One user out of many with a huge gain: a median of zero, so that Wilcoxon's test sees next to nothing.
    base = np.zeros((1, 50))
    gain = np.zeros((1, 50))
    gain[0, :3] = [3.0, 4.0, 5.0]
    found, pairs = marks("m", {"a": base, "b": gain})
    assert found == {}
    assert pairs[0].one == "a"


def test_a_table_in_its_three_forms() -> None:
    table = Table(
        "A & B", ["model", "x_1"], [[Cell("50%"), Cell("0.1", "0.01", "best")], [Cell("a|b"), Cell("0", mark="second")]]
    )
    assert "| **0.1** ± 0.01 |" in table.to_markdown()
    assert "<u>0</u>" in table.to_markdown()
    assert "a\\|b" in table.to_markdown()
    latex = table.to_latex()
    assert r"\caption{A \& B}" in latex
    assert r"model & x\_1 \\" in latex
    assert r"50\% & \textbf{0.1} {\scriptsize $\pm$ 0.01} \\" in latex
    assert r"\underline{0}" in latex
    assert [latex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    page = table.to_html()
    assert "<caption>A &amp; B</caption>" in page
    assert '<strong>0.1</strong> <span class="deviation">± 0.01</span>' in page
    assert page.count("<tr>") == page.count("</tr>") == 3


@pytest.mark.parametrize("letter", list("&%$#_{}"))
def test_latex_reads_every_letter_as_itself(letter: str) -> None:
    assert latex_escape(f"a{letter}b") == f"a\\{letter}b"


def test_no_command_of_a_text_reaches_latex() -> None:
    escaped = latex_escape("\\input{x} ^ ~ ± <")
    assert escaped == r"\textbackslash{}input\{x\} \textasciicircum{} \textasciitilde{} $\pm$ \textless{}"
    assert not re.search(r"\\input", escaped)


def test_the_difference_is_in_percent_of_the_published_value() -> None:
    told = record("e", "r", "m", mean=0.11, seeds=1, published=0.1)
    assert told["difference"] == pytest.approx(10)
    assert percent_cell(told["difference"]).text == "+10.0 %"
    assert percent_cell(None).text == "-"
    assert measured_cell(told) == Cell("0.1100", "", "")
    missing = record("e", "r", "m", mean=None, published=0.1)
    assert missing["difference"] is None
    assert measured_cell(missing).text == "-"
    assert to_csv([missing]).splitlines()[1] == "e,r,,m,,,0,,0.1,"
