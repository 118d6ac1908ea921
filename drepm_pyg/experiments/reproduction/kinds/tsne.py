"""Figures 1b-c and 7: both representations of the same nodes in the plane."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from drepm_pyg.experiments.canvas import COLORS, canvas
from drepm_pyg.experiments.reproduction.arrays_file import read_arrays, write_arrays
from drepm_pyg.experiments.reproduction.embedding import mixing, tsne
from drepm_pyg.experiments.reproduction.measured import Measured, failures
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Cell, Table
from drepm_pyg.models import Representations

__all__ = ["make_tsne"]


class _Panel(NamedTuple):
    """Points ``[2 n, 2]``, the behaviour representations first, and what is known of them where they come from."""

    points: NDArray[np.float64]
    distance: float
    mixing: float


def make_tsne(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """A set of axes per model: squares and circles, and a dashed line between the two of a node."""
    panels: dict[str, _Panel] = {}
    lost = failures(measured)
    for each in measured:
        if each.places:
            try:
                panels[each.row] = _panel(each.places[0], spec, context)
            except ValueError as error:
                lost.append(f"{each.row}: {error}")
    records, rows = [], []
    for row, panel in panels.items():
        for metric, value in (("cosine distance", panel.distance), ("mixing", panel.mixing)):
            records.append(record(spec.name, row, metric, mean=value, seeds=1))
        rows.append([Cell(row), Cell(f"{panel.distance:.3f}"), Cell(f"{panel.mixing:.3f}")])
    path = context.folder / spec.name
    _draw(path, panels)
    drawn = max((len(panel.points) // 2 for panel in panels.values()), default=0)
    return Output(
        spec,
        records,
        [Table(f"{spec.title}: {context.label}", ["model", "mean cosine distance", "mixing"], rows)],
        path if panels else None,
        f"t-SNE of the behaviour (squares) and the modal representations (circles) of the same {drawn:,} randomly "
        f"chosen users and items, {context.label}, seed 0; a dashed line joins the two of a node. Distances between "
        "far-apart groups mean nothing in such a picture: the table has numbers from the original space.",
        [
            "Mixing: the share of a point's 10 nearest neighbours, in the original space, that are of the other kind; "
            "0 where the two kinds lie apart, near 0.5 where they have the same distribution."
        ],
        failures=lost,
    )


def _panel(place: Place, spec: Spec, context: Context) -> _Panel:
    """Kept beside the run, so that drawing again is quick, and needs no weights."""
    file = place.folder / str(spec.points)
    if not file.exists():
        behavior, modal = _pairs(place, spec.nodes, context)
        both = torch.cat([behavior, modal]).double().cpu().numpy()
        distance = 1 - float(F.cosine_similarity(behavior.double(), modal.double()).mean())
        write_arrays(file, {"points": tsne(both), "distance": distance, "mixing": mixing(both)})
    kept = read_arrays(file)
    return _Panel(kept["points"], float(kept["distance"]), float(kept["mixing"]))


def _pairs(place: Place, nodes: int, context: Context) -> tuple[torch.Tensor, torch.Tensor]:
    from drepm_pyg.training import load_run

    data = place.experiment.with_graphs(context.data, context.cache)
    with torch.no_grad():
        tables: Any = load_run(place.folder, data)(data)
    if not isinstance(tables, Representations) or tables.behavior is None or tables.modal is None:
        raise ValueError("the model lacks a behaviour or a modal line")
    behavior, modal = (torch.cat([line.user, line.item]) for line in (tables.behavior, tables.modal))
    if behavior.size(1) != modal.size(1):
        raise ValueError(f"the lines have different widths ({behavior.size(1)} and {modal.size(1)})")
    chosen = torch.randperm(len(behavior), generator=torch.Generator().manual_seed(0))[:nodes]
    return behavior[chosen].detach(), modal[chosen].detach()


def _draw(path: Path, panels: dict[str, _Panel]) -> None:
    if not panels:
        return
    from matplotlib.collections import LineCollection

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with canvas(path, columns=columns, rows=rows, size=(5.0 * columns, 4.4 * rows)) as drawn:
        for axes, (row, panel) in zip(drawn, panels.items(), strict=False):
            behavior, modal = np.split(panel.points, 2)
            # Translucent, each drawn by itself: where many cross it is darker, and one alone can still be followed.
            lines = list(np.stack([behavior, modal], axis=1))
            stroke: dict[str, Any] = {"colors": "0.3", "linewidths": 0.3, "linestyles": "--", "alpha": 0.25}
            axes.add_collection(LineCollection(lines, **stroke, zorder=1))
            for points, marker, color, label in (
                (behavior, "s", COLORS[0], "behaviour"),
                (modal, "o", COLORS[5], "modal"),
            ):
                axes.scatter(
                    points[:, 0],
                    points[:, 1],
                    s=9,
                    marker=marker,
                    color=color,
                    edgecolor="0.2",
                    linewidth=0.2,
                    label=label,
                    zorder=2,
                )
            axes.set_title(row, fontsize=10, pad=22)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.set_xlabel("t-SNE 1 (no unit)")
            axes.set_ylabel("t-SNE 2 (no unit)")
            axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        for axes in drawn[len(panels) :]:
            axes.set_axis_off()
