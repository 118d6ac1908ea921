"""Experiments as files: the paper's numbers, the claims, and what a file of one's own may hold."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.experiments.reproduction import Spec, paper_names, read_spec
from drepm_pyg.experiments.reproduction.settings import agreed_modalities, base_settings, override, settings_source

FIGURES = ["figure1a", "figure1bc", "figure5", "figure6", "figure7", "figure8a", "figure8b", "figure9a", "figure9b"]


def test_every_table_and_figure_of_the_paper_is_a_file() -> None:
    assert paper_names() == ["table1", "table2", "table3", "table4", *FIGURES]


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table4", *FIGURES])
def test_a_file_says_where_the_paper_has_it(name: str) -> None:
    spec = read_spec(name)
    assert spec.source.startswith("DRepMRec, ")
    assert spec.claim or name == "table1"
    assert bool(spec.published) == name.startswith("table")  # a figure has a claim in words, never a number


@pytest.mark.parametrize(
    ("name", "data", "row", "metric", "value"),
    [
        ("table1", "Baby", "All", "interactions", 160_792),
        ("table1", "Clothing", "All", "users", 39_387),
        ("table1", "Sports", "All", "sparsity", 0.9995),
        ("table2", "Baby", "FREEDOM", "recall@20", 0.092),
        ("table2", "Baby", "DRepMRec", "ndcg@20", 0.0459),
        ("table2", "Sports", "MMGCN", "ndcg@10", 0.0193),
        ("table2", "Clothing", "DualGNN", "recall@10", 0.0454),
        ("table2", "Clothing", "DRepMRec", "recall@20", 0.0988),
        ("table3", "Clothing", "DRepMRec", "recall@20", 0.0991),
        ("table3", "Sports", "W/O Alignment", "ndcg@20", 0.0427),
        ("table3", "Baby", "W/O SSS", "recall@20", 0.0976),
        ("table4", "Sports", "BM3 + BMA", "recall@20", 0.1078),
        ("table4", "Clothing", "VBPR + BMA", "ndcg@20", 0.0282),
        ("table4", "Baby", "MGCN", "ndcg@20", 0.0427),
    ],
)
def test_published_numbers_are_the_papers(name: str, data: str, row: str, metric: str, value: float) -> None:
    assert read_spec(name).published_for(data)[row][metric] == value


def test_published_numbers_stand_beside_data_of_that_name_alone() -> None:
    table = read_spec("table2")
    assert table.published_for("amazon-baby") == table.published_for("Baby (surrogate features)")
    assert table.published_for("babysitters") == {}


@pytest.mark.parametrize("name", ["table2", "table3", "table4", *FIGURES])
def test_what_rows_set_fits_the_models(name: str) -> None:
    from drepm_pyg.experiments.bma_options import BMAOptions
    from drepm_pyg.experiments.experiment import model_class

    spec = read_spec(name)
    for row in spec.rows:
        for key in [*row.overrides, *spec.vary]:
            first, _, last = key.rpartition(".")
            known = {
                "model.init_args": inspect.signature(model_class(row.model)).parameters,
                "bma": inspect.signature(BMAOptions).parameters,
                "": {"modality_weight": None},
            }
            assert last in known[first]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text("kind: table\nset: {lr: 1e-2}\nrows: {two: LightGCN, three: {model: LightGCN, set: {lr: 1}}}\n")
    spec = read_spec(path)
    assert (spec.name, spec.title, spec.seeds) == ("depth", "depth", 1)
    assert [(row.name, dict(row.overrides)) for row in spec.rows] == [("two", {"lr": 0.01}), ("three", {"lr": 1})]


@pytest.mark.errors
def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """The last would win, and a row would have another model's numbers."""
    path = tmp_path / "twice.yaml"
    path.write_text("kind: table\nrows:\n  LightGCN: LightGCN\n  LightGCN: BPR\n")
    with pytest.raises(CorruptFileError, match=r"twice.yaml' is no YAML \(the name 'LightGCN' stands twice"):
        read_spec(path)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"kind": "chart"}, "'kind' must be one of"),
        ({"kind": "table"}, "must name its 'rows'"),
        ({"kind": "table", "rows": ["BPR"], "seed": 3}, "'seed'"),
        ({"kind": "table", "rows": ["BRP"]}, "brp"),
        ({"kind": "table", "rows": {"a": {"set": {}}}}, "'a' must name its 'model'"),
        ({"kind": "sweep", "rows": ["BPR"]}, "one or two settings in 'vary'"),
        ({"kind": "curve", "rows": ["BPR"]}, "must name its 'columns'"),
        ({"kind": "table", "rows": ["BPR"], "published": {"Baby": {"BPR": [1.0]}}}, "a value per metric"),
        ({"kind": "table", "rows": ["BPR"], "published": {"Baby": {"VBPR": [1.0, 2.0]}}}, "'VBPR'"),
        ({"kind": "table", "rows": "BPR"}, "'rows' as a list of models, or as a mapping .*got 'BPR'"),
        ({"kind": "table", "rows": ["BPR", "BPR"]}, "distinct names"),
        ({"kind": "table", "rows": {"a": 3}}, "'a' must be a model, or a mapping"),
        ({"kind": "table", "rows": {"a": "BRP"}}, "'a' names no model: .*'brp'"),
        ({"kind": "table", "rows": {"a": {"model": "BPR", "set": "lr"}}}, "'a' must give 'set' as a mapping"),
        ({"kind": "table", "rows": ["BPR"], "set": 3}, "'set' as a mapping"),
        ({"kind": "table", "rows": ["BPR"], "metrics": "recall@20"}, "'metrics' as a list"),
        ({"kind": "sweep", "rows": ["BPR"], "vary": {"lr": 0.1}}, "'lr' in 'vary' as a list of values .*got 0.1"),
        ({"kind": "curve", "rows": ["BPR"], "columns": ["epoch"]}, "'columns' as a mapping"),
        ({"kind": "statistics", "metrics": ["users", "density"]}, "'density'"),
        ({"kind": "statistics", "published": {"shop": {}}}, "for shop a list of numbers per row"),
        ({"kind": "table", "rows": ["BPR"], "published": {"shop": {"BPR": 0.1}}}, r"\(got 0.1 for 'BPR'\)"),
        ({"kind": "table", "rows": ["BPR"], "published": {"shop": {"BPR": ["a", 1]}}}, "a list of numbers per row"),
        ({"kind": "table", "rows": ["BPR"], "published": {"shop": None}}, "for shop a list of numbers .*got None"),
        ({"kind": "table", "rows": {"a": {"model": ["BPR"]}}}, r"'a' must give 'model' as text \(got \['BPR'\]"),
        ({"kind": "table", "rows": ["BPR"], "title": 3}, r"'title' as text \(got 3\)"),
        ({"kind": "sweep", "rows": ["BPR"], "vary": {"lr": [0.1, 0.1]}}, "distinct to six digits"),
        ({"kind": "sweep", "rows": ["BPR"], "vary": {"lr": [0.00100001, 0.001000013]}}, "distinct to six digits"),
        ({"kind": "sweep", "rows": ["BPR"], "vary": {"x": [{"a": 1}]}}, "'x' in 'vary' single values"),
        ({"kind": "sweep", "rows": ["DRepMRec"], "vary": {"modality_weight": ["a"]}}, "numbers from 0 to 1"),
    ],
)
def test_a_fault_in_a_file_is_named(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Spec.from_config("mine", config)


@pytest.mark.errors
def test_a_name_that_is_neither_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"'table9' is neither .*table1.* nor a file"):
        read_spec("table9")


def test_settings_come_from_the_folder_the_data_the_recipe_or_nothing(tmp_path: Path) -> None:
    assert base_settings("BPR", "elsewhere/movielens")["lr"] == 0.002
    assert base_settings("MGCN", "unheard-of")["graphs"] == {"return_weight": True}
    assert base_settings("VBPR", "unheard-of") == {"model": {"class_path": "VBPR", "init_args": {}}}
    (tmp_path / "BPR.yaml").write_text("model: BPR\nlr: 0.5\nseed: 3\nroot: there\ndata: x\nmodalities: [text]\n")
    assert base_settings("BPR", "movielens", tmp_path) == {
        "model": {"class_path": "BPR", "init_args": {}},
        "lr": 0.5,
    }
    assert settings_source("BPR", "movielens", tmp_path) == str(tmp_path)
    assert settings_source("LightGCN", "elsewhere/movielens", tmp_path) == "the library's for movielens"
    assert settings_source("MGCN", "unheard-of", tmp_path) == "the library's for any data"
    assert settings_source("VBPR", "unheard-of") == "the model's defaults"
    assert agreed_modalities(["BPR", "VBPR"], "unheard-of", tmp_path) == ["text"]
    (tmp_path / "VBPR.yaml").write_text("model: VBPR\nmodalities: [audio]\n")
    with pytest.raises(ValueError, match="'modalities' must be given"):
        agreed_modalities(["BPR", "VBPR"], "unheard-of", tmp_path)


def test_overrides_leave_the_original_alone() -> None:
    config = {"model": {"class_path": "BPR", "init_args": {"reg": 1}}, "lr": 1}
    changed = override(config, {"model.init_args.reg": 0, "bma.alpha": 0.1})
    assert changed["model"] == {"class_path": "BPR", "init_args": {"reg": 0}}
    assert changed["bma"] == {"alpha": 0.1}
    assert config["model"] == {"class_path": "BPR", "init_args": {"reg": 1}}
