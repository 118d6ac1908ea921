"""``drepm reproduce``: which experiments are asked for."""

from pathlib import Path

import pytest

from drepm_pyg.cli import reproduce


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [([], [], ["table1"]), (["table2"], [], ["table1"]), ([], ["table3", "figure7"], ["table3", "figure7"])],
    ids=["file alone", "file last", "file first"],
)
def test_experiments_can_stand_in_a_file(
    before: list[str], after: list[str], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "rep.yaml").write_text("{data: shop, experiments: [table1], short: true}")
    argv = [*before, "--config", str(tmp_path / "rep.yaml"), *after]
    assert reproduce.parser(argv).parse_args(argv).experiments == expected


def test_without_experiments_all_are_asked_for() -> None:
    assert reproduce.parser([]).parse_args(["--data", "shop"]).experiments == []
