"""``drepm evaluate``: what a run is ranked by, whole and line by line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drepm_pyg.cli import main


@pytest.mark.parametrize(
    ("model", "lines"), [("ItemKNN", ["general"]), ("BPR", ["general"]), ("DRepMRec", ["general", "behavior", "modal"])]
)
def test_the_lines_of_a_model_are_ranked_each_by_itself(
    model: str, lines: list[str], written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["fit", "--model", model, "--data", str(written()), "--root", str(tmp_path), "--name", "one"]
    assert main([*fit, "--max_epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "one"), "--format", "json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(tmp_path / "one"), "--lines", "true", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["line"] for row in rows] == lines
    assert rows[0] == {"line": "general", **whole}
