"""Figure 1a: whether the behaviour and the modal loss want the embeddings to move in different directions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from drepm_pyg.experiments.canvas import COLORS, MARKERS, STYLES, canvas
from drepm_pyg.experiments.reproduction.gradients_file import BINS, read_gradients
from drepm_pyg.experiments.reproduction.kinds.curve import Curve, curve_of
from drepm_pyg.experiments.reproduction.measured import Measured, failures
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Cell, Table

__all__ = ["make_gradients"]

_NODES = ("user", "item")
#: What a row of ``gradients.csv`` tells, and what the table calls it.
_SHOWN = {"cosine": "cosine, all epochs", "opposed": "nodes with cosine < 0", "shared": "shared entries"}


def make_gradients(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """The cosine by epoch, and its histogram over nodes and epochs, for users and items."""
    records, rows, notes = [], [], []
    epochs = {each.row: [read_gradients(place.folder) for place in each.places] for each in measured}
    for row, seeds in epochs.items():
        for node in _NODES:
            every = [epoch for seed in seeds for epoch in seed]
            values = {name: _mean([epoch.get(f"{node}/{name}") for epoch in every]) for name in _SHOWN}
            for name, value in values.items():
                records.append(record(spec.name, row, f"{node}/{name}", mean=value, seeds=len(seeds)))
            percent = ["-" if values[name] is None else f"{values[name]:.1%}" for name in ("opposed", "shared")]
            cosine = "-" if values["cosine"] is None else f"{values['cosine']:+.3f}"
            rows.append([Cell(row), Cell(f"{node}s"), Cell(cosine), *map(Cell, percent)])
            if every and values["shared"] == 0:
                notes.append(f"{row}: the two lines share no entry of the {node} embeddings, so nothing can conflict.")
    path = context.folder / spec.name
    _draw(path, epochs)
    return Output(
        spec,
        records,
        [Table(f"{spec.title}: {context.label}", ["model", "", *_SHOWN.values()], rows)],
        path,
        f"Cosine between the gradients of BPR on the behaviour representation and of BPR on the modal representation, "
        f"with respect to the ID embeddings, {context.label}. Left: of the whole tables after every epoch, over all "
        "triples of the epoch, without dropout. Right: of every node that both gradients reach, all epochs together; "
        "below 0 the two losses pull a node in opposite directions.",
        [*notes, "Shared entries: those that both gradients reach, of those that either does."],
        failures=failures(measured),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and not np.isnan(value)]
    return mean(known) if known else None


def _cosines(seeds: Sequence[Sequence[Mapping[str, float]]], node: str) -> Curve:
    name = f"{node}/cosine"
    return curve_of(
        [{int(row["epoch"]): row[name] for row in seed if not np.isnan(row.get(name, np.nan))} for seed in seeds]
    )


def _histogram(seeds: Sequence[Sequence[Mapping[str, float]]], node: str) -> list[float]:
    """Percent of the nodes in each bin."""
    counts = [sum(row.get(f"{node}/bin{place}", 0.0) for seed in seeds for row in seed) for place in range(BINS)]
    return [100 * count / max(1.0, sum(counts)) for count in counts]


def _draw(path: Path, epochs: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> None:
    edges = np.linspace(-1, 1, BINS + 1)
    with canvas(path, columns=3, size=(12.0, 3.9)) as (left, *histograms):
        left.axhline(0, color="0.35", linewidth=0.9)
        for place, (row, seeds) in enumerate(epochs.items()):
            color, stroke = COLORS[place % len(COLORS)], STYLES[place % len(STYLES)]
            for style, node in zip(STYLES, _NODES, strict=False):
                curve = _cosines(seeds, node)
                left.plot(
                    list(curve),
                    list(curve.values()),
                    style,
                    color=color,
                    # The stroke tells users from items here, so that in grey the model needs a mark of its own.
                    marker=MARKERS[place % len(MARKERS)],
                    markersize=4,
                    markevery=max(1, len(curve) // 8),
                    label=f"{row}, {node}s",
                )
            for axes, node in zip(histograms, _NODES, strict=True):
                axes.stairs(_histogram(seeds, node), edges, color=color, linestyle=stroke, linewidth=1.6, label=row)
        left.set_xlabel("epoch")
        left.set_ylabel("cosine between the gradients")
        left.locator_params(axis="x", integer=True)
        left.legend(frameon=False, fontsize=8)
        for axes, node in zip(histograms, _NODES, strict=True):
            axes.axvline(0, color="0.35", linewidth=0.9)
            axes.set_title(f"{node} embeddings", fontsize=10)
            axes.set_xlabel("cosine of one node")
            axes.set_ylabel("nodes (%)")
            axes.legend(frameon=False, fontsize=9)
