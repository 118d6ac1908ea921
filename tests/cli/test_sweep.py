"""``drepm sweep``: its models and graphs are checked as those of ``drepm fit`` are."""

from pathlib import Path

import pytest

from drepm_pyg.cli import main


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (
            ["--models", "LigtGCN"],
            2,
            "'--models' must be one of BM3, BPR, DRepMRec, DualGNN, FREEDOM, ItemKNN, LightGCN, MGCN, MMGCN, "
            "MostPopular, VBPR, or the path of a class (got 'LigtGCN'). Did you mean LightGCN?",
        ),
        (["--models", "[BPR, lightgcn]"], 2, "(got 'lightgcn'). Did you mean LightGCN?"),
        (["--models", "LightGCN,BPR", "--graphs.k", "5"], 1, "graphs, and LightGCN and BPR read none."),
        (["--graphs.weight", "w"], 1, "'--graphs.weight' is for the files of graphs, and none is given."),
        (["--models", "BPR", "--graphs.text", "g4.npz"], 1, "'--graphs.text' is for the similarity graphs, and BPR"),
        (["--models", "FREEDOM", "--graphs.text", "g4.txt"], 2, "'--graphs.text' must be the file of a graph"),
        (["--models", "BPR", "--root", "{file}"], 1, "'--root' cannot be used ('"),
    ],
)
def test_what_is_refused(
    arguments: list[str], status: int, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    arguments = [argument.format(file=tmp_path / "file") for argument in arguments]
    root = ["--root", str(tmp_path / "root"), "--max_epochs", "1", "--trials", "1"]
    assert main(["sweep", "--data", "synthetic", *root, *arguments]) == status
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.err.splitlines()[-1].startswith("drepm sweep: error: ")
    assert captured.out == ""
