"""The demo on synthetic data, and its settings."""

from pathlib import Path

import pytest

from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.evaluation import evaluate
from drepm_pyg.experiments import load_trained
from drepm_pyg.experiments.demo import MODELS, demo, demo_settings
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.training import read_result


@pytest.mark.slow
def test_the_demo_compares_draws_and_recommends(tmp_path: Path) -> None:
    made = demo(tmp_path, offline=True, short=True, progress=False)
    assert [row["model"] for row in made.table] == list(MODELS)
    for row in made.table:
        result = read_result(tmp_path / "synthetic-short" / row["model"])
        numbers = {name: value for name, value in row.items() if name != "model"}
        assert all(isinstance(value, int | float) for value in numbers.values())
        assert row["test recall@20"] == result["metrics"]["test/recall@20"]
    text = made.report.read_text()
    assert f"| {made.table[0]['test recall@20']:.4f}" in text
    assert "SHORT: " in text
    assert "the numbers mean nothing" in text
    difference = made.results["DRepMRec"].metrics["test/recall@20"] - made.results["LightGCN"].metrics["test/recall@20"]
    assert ("NOT ahead of LightGCN" in text) == (difference <= 0)
    for name in ("learning_curves", "representations", "cosine_distance"):
        picture = (made.report.parent / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert f"({name}.png)" in text
    assert text.count("### User") == 3
    loaded, data = load_trained(tmp_path / "synthetic-short" / "DRepMRec")
    assert evaluate(loaded, data) == evaluate(made.results["DRepMRec"].model, data)


@pytest.mark.parametrize("model", MODELS)
def test_settings_build_their_model(model: str) -> None:
    settings = demo_settings(model)
    assert settings.model_class.__name__ == model
    data = AddSimilarityGraphs(k=3, loop=True)(SyntheticMultimodal(num_users=30, num_items=20, seed=0)[0])
    assert settings.build(data).num_users == 30
