"""Graphs are built anew only where a run wants others."""

from pathlib import Path

from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.data.schema import graph_modalities
from drepm_pyg.experiments import Experiment
from drepm_pyg.experiments.graphs_at_hand import GraphsAtHand


def of(model: str, **options: object) -> Experiment:
    return Experiment.from_config({"model": model, "data": "synthetic", **options})


def test_runs_that_want_the_same_share_and_the_others_begin_without_graphs(tmp_path: Path) -> None:
    data = SyntheticMultimodal(num_users=30, num_items=20, seed=0)[0]
    graphs = GraphsAtHand(data, tmp_path)
    first = graphs.of(of("FREEDOM", lr=0.1))
    assert graph_modalities(first, "item") == ["image", "text"]
    assert graphs.of(of("FREEDOM", lr=0.2)) is first
    assert graphs.of(of("FREEDOM", graphs={"k": 3})) is not first
    assert graph_modalities(graphs.of(of("BPR")), "item") == []
    assert graph_modalities(data, "item") == []
    assert list((tmp_path / "graphs").iterdir()) != []
