"""``drepm recommend`` on a saved recommender: ids as they were typed, and errors in the words of the command line."""

import json
from pathlib import Path

import pytest
import torch

from drepm_pyg.cli import main
from drepm_pyg.models import Representations
from drepm_pyg.recommend import Recommender
from tests import toy

USER_IDS = ["010", "0012", "1e5", "null", "a,b"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    data = toy.toy_data()
    data["user"].user_id = [*USER_IDS, *(f"u{number}" for number in range(len(USER_IDS), toy.USERS))]
    generator = torch.Generator().manual_seed(0)
    tables = Representations(*(torch.randn(rows, 4, generator=generator) for rows in (toy.USERS, toy.ITEMS)))
    folder = str(tmp_path_factory.mktemp("served") / "saved")
    Recommender(tables, data).save(folder)
    return folder


def asked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """For whom an answer is, in order."""
    assert main(["recommend", *arguments, "--k", "1", "--format", "json"]) == 0
    return [row["for"].removeprefix("user ") for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("[010]", ["010"]),
        ("010", ["010"]),
        ("[0012,1e5]", ["0012", "1e5"]),
        ("0012, 1e5", ["0012", "1e5"]),
        ("null", ["null"]),
        ("['a,b', null]", ["a,b", "null"]),
    ],
)
def test_ids_are_taken_as_they_are_typed(
    typed: str, ids: list[str], saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked([saved, "--users", typed, "--original_ids", "true"], capsys) == ids
    (tmp_path / "config.yaml").write_text(json.dumps({"users": ids, "original_ids": True}))
    assert asked([saved, "--config", str(tmp_path / "config.yaml")], capsys) == ids


def test_a_number_in_a_list_is_decimal(saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", saved, "--users", "[010]", "--format", "json"]) == 0
    listed = capsys.readouterr().out
    assert main(["recommend", saved, "--users", "010", "--format", "json"]) == 0
    assert capsys.readouterr().out == listed


def test_items_are_printed_as_they_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = toy.toy_data(num_items=1300)
    item = torch.zeros(1300, 2)
    item[1234, 0] = 1
    Recommender(Representations(torch.ones(toy.USERS, 2), item), data).save(tmp_path / "saved")
    assert main(["recommend", str(tmp_path / "saved"), "--users", "0", "--k", "1"]) == 0
    assert "| 1234 |" in capsys.readouterr().out.replace("  ", "")


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--users", ""], "'--users' must name at least one id (got none)."),
        (["--users", "[]"], "'--users' must name at least one id (got none)."),
        (["--history", ""], "'--history' must name at least one id (got none)."),
        (["--similar", ","], "'--similar' must name at least one id (got none)."),
        (
            ["--users", "u3"],
            "'--users' must be whole numbers (got ['u3']). Original ids are taken with '--original_ids",
        ),
        (["--similar", "B9"], "'--similar' must be whole numbers (got ['B9'])."),
        (["--users", "99"], "'--users' must hold ids in [0, 13)"),
        (["--history", "99"], "'--history' must hold ids in [0, 11)"),
        (["--users", "u99", "--original_ids", "true"], "'--users' must be original ids of the data, such as '010'"),
        (["--users", "0", "--k", "0"], "'--k' must be at least 1 (got 0)."),
        (
            ["--users", "0", "--data", "nosuch"],
            "'--data' is for a run; a saved recommender needs no data (got 'nosuch'",
        ),
    ],
)
def test_what_is_refused_names_the_option(
    arguments: list[str], text: str, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", saved, *arguments]) == 1
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


@pytest.mark.errors
def test_a_list_that_does_not_end(saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", saved, "--users", "[1, 2"]) == 2
    assert "'--users' must be a list such as '[one, other]' (got '[1, 2')." in capsys.readouterr().err


@pytest.mark.errors
def test_nothing_is_saved_into_a_folder_of_something_else(
    saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    for file in ("run/config.yaml", "file"):
        (tmp_path / file).write_text("mine")
    for target in ("run", "file"):
        assert main(["recommend", saved, "--save", str(tmp_path / target)]) == 1
        assert f"'--save' must be a new or empty folder, or one that holds a saved recommender (got '{tmp_path}" in (
            capsys.readouterr().err
        )
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["config.yaml", "file", "run"]
