"""The demo on synthetic data, its settings, and the search that finds them."""

import json
from pathlib import Path

import pytest

from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.experiments.demo import MODELS, demo, demo_settings
from drepm_pyg.experiments.search import search, trials
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.training import read_result


@pytest.mark.slow
def test_the_demo_compares_draws_and_recommends(tmp_path: Path) -> None:
    made = demo(tmp_path, offline=True, short=True, progress=False)
    assert [row["model"] for row in made.table] == list(MODELS)
    for row in made.table:
        result = read_result(tmp_path / "synthetic-short" / row["model"])
        assert row["test recall@20"] == f"{result['metrics']['test/recall@20']:.4f}"
    text = made.report.read_text()
    difference = made.results["DRepMRec"].metrics["test/recall@20"] - made.results["LightGCN"].metrics["test/recall@20"]
    assert ("NOT ahead of LightGCN" in text) == (difference <= 0)
    for name in ("learning_curves", "representations", "cosine_distance"):
        picture = (made.report.parent / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert f"({name}.png)" in text
    assert text.count("### User") == 3


@pytest.mark.parametrize("model", MODELS)
def test_settings_build_their_model(model: str) -> None:
    settings = demo_settings(model)
    assert settings.model_class.__name__ == model
    data = AddSimilarityGraphs(k=3, loop=True)(SyntheticMultimodal(num_users=30, num_items=20, seed=0)[0])
    assert settings.build(data).num_users == 30


def test_a_search_chooses_on_validation_and_goes_on_where_it_was(tmp_path: Path) -> None:
    spec = {
        "data": "synthetic",
        "max_epochs": 1,
        "models": {"BPR": {"init_args": {"reg": {"low": 1e-3, "high": 1e-1, "log": True}}, "lr": [0.001, 0.01]}},
    }
    rows = search(spec, tmp_path, count=2)
    assert [row["trial"] for row in rows] == [0, 1]
    stamps = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("BPR/*/result.json"))]
    assert search(spec, tmp_path, count=2) == rows
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("BPR/*/result.json"))] == stamps
    best = max(rows, key=lambda row: row["val/recall@20"])
    assert json.loads(best["settings"])["lr"] == pytest.approx(float(_lr(tmp_path / "BPR.yaml")))
    assert all(1e-3 <= json.loads(row["settings"])["init_args"]["reg"] <= 1e-1 for row in rows)


def _lr(path: Path) -> str:
    return next(line.split(":")[1] for line in path.read_text().splitlines() if line.startswith("lr:"))


def test_trials_depend_on_the_seed_and_a_longer_search_begins_with_them() -> None:
    space = {"lr": {"low": 0.001, "high": 0.1, "log": True}}
    first = list(trials("BPR", space, 3, 0))
    assert list(trials("BPR", space, 5, 0))[:3] == first
    assert list(trials("BPR", space, 3, 1)) != first
    assert len(list(trials("BPR", {"lr": [0.1, 0.2]}, 9, 0))) == 2
