"""YAML as people write it."""

from pathlib import Path

import pytest

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.experiments.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-2E+4", -20000.0),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("3.", 3.0),
        (".inf", float("inf")),
        ("3", 3),
        ("'1e-3'", "1e-3"),
        ("1e", "1e"),
        ("e3", "e3"),
        ("1.2.3", "1.2.3"),
        ("0.5-run", "0.5-run"),
        ("1e-3x", "1e-3x"),
        ("-", [None]),
    ],
)
def test_numbers_are_numbers_and_texts_are_texts(text: str, value: object, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"name:\n  {text}\n")
    read = read_yaml(tmp_path / "a.yaml")["name"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"lr: 1\nlr: 2\n", "is no YAML (the name 'lr' stands twice"),
        (b"model:\n  a: {b: 1, c: 2, b: 3}\n", "is no YAML (the name 'b' stands twice"),
        (b"lr: [1\n", "is no YAML ("),
        (b"lr: \xff\n", "is no YAML ("),
        (b"- lr\n", "must hold a mapping of names to values (got a list)."),
        (b"", "must hold a mapping of names to values (got a NoneType)."),
        (b"a: !!python/object/apply:os.getcwd []\n", "is no YAML ("),
    ],
)
def test_what_is_no_mapping_of_distinct_names_is_refused(content: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(CorruptFileError) as error:
        read_yaml(tmp_path / "a.yaml")
    assert str(error.value).startswith(f"'{tmp_path / 'a.yaml'}' ")
    assert text in str(error.value)


def test_a_name_may_stand_in_several_mappings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one: {lr: 1}\nother: {lr: 2}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"one": {"lr": 1}, "other": {"lr": 2}}
