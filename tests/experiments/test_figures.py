"""Figures: written whole, without matplotlib's global state, for graphs of every kind."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from drepm_pyg.experiments.figures import draw_cosine_distance, draw_learning_curves, draw_similarity_graph
from drepm_pyg.graph import knn_graph

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("k", [1, 5])
def test_a_graph_is_drawn(tmp_path: Path, k: int, generator: torch.Generator) -> None:
    edge_index, weight = knn_graph(torch.randn(30, 4, generator=generator), k, return_weight=True)
    draw_similarity_graph(tmp_path / "new" / "g.png", edge_index, weight, 30, weight="cosine similarity")
    assert (tmp_path / "new" / "g.png").read_bytes().startswith(b"\x89PNG")


def test_a_graph_without_edges_is_drawn(tmp_path: Path) -> None:
    draw_similarity_graph(tmp_path / "g.png", torch.empty(2, 0, dtype=torch.long), torch.empty(0), 3, weight="distance")
    assert (tmp_path / "g.png").stat().st_size > 0


def test_epochs_are_whole_numbers(tmp_path: Path, drawn: list[Any]) -> None:
    columns = ("val/recall@20", "val/cosine_distance_user", "val/cosine_distance_item")
    rows = "".join(f"{epoch},0.1,0.2,0.3\n" for epoch in range(2))
    (tmp_path / "metrics.csv").write_text(f"epoch,{','.join(columns)}\n{rows}")
    draw_learning_curves(tmp_path / "curves.png", {"BPR": tmp_path})
    draw_cosine_distance(tmp_path / "distance.png", tmp_path)
    assert [all(tick == round(tick) for tick in axes.get_xticks()) for axes in drawn] == [True, True]


def test_single_lines_between_many_points_can_be_seen(tmp_path: Path, drawn: list[Any]) -> None:
    from drepm_pyg.experiments.reproduction.kinds.tsne import _draw, _Panel

    points = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double().numpy()
    _draw(tmp_path / "points", {"VBPR": _Panel(points, 0.5, 0.1)})
    lines, *_ = drawn[0].collections
    assert len(lines.get_segments()) == 1000
    assert (lines.get_alpha(), lines.get_linewidth()) <= (0.3, [0.4])


def test_pyplot_is_not_touched(tmp_path: Path) -> None:
    program = (
        "import sys, torch; from pathlib import Path; from drepm_pyg.experiments.figures import draw_similarity_graph\n"
        "draw_similarity_graph(Path(sys.argv[1]), torch.tensor([[1], [0]]), torch.ones(1), 2, weight='w')\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "g.png")]).returncode == 0
