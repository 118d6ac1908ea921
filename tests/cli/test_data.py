"""drepm data: what it warns of, and what it describes, in words and in numbers."""

import json
from pathlib import Path

import pytest
import torch

from drepm_pyg.cli import main
from drepm_pyg.data import USER_ITEM, SyntheticMultimodal, write_mmrec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = SyntheticMultimodal(num_users=40, num_items=30, seed=0)[0]
    data["item"].image_mask = torch.arange(30) > 1
    write_mmrec(data, tmp_path / "shop")
    return tmp_path / "shop"


def test_a_description_is_words_for_people_and_numbers_for_programs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "info", str(folder), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    width = told["image"]["width"]
    assert told["density"] == told["interactions"] / 40 / 30
    assert told["image"] == {"width": width, "items_without": 2}
    assert main(["data", "info", str(folder)]) == 0
    text = capsys.readouterr().out
    assert f"{width} wide, 2 items without it" in text
    assert f"{told['density']:.4%}" in text


@pytest.mark.parametrize(("split", "command"), [("val", "drepm fit"), ("test", "drepm evaluate")])
def test_pairs_that_a_command_needs_are_missed(
    split: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = SyntheticMultimodal(num_users=40, num_items=30, seed=0)[0]
    data[USER_ITEM][f"{split}_edge_label_index"] = torch.empty(2, 0, dtype=torch.long)
    write_mmrec(data, tmp_path / "shop")
    assert main(["data", "validate", str(tmp_path / "shop"), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["level"] == "warning"
    assert f"which '{command}' needs" in found["message"]
