"""The figures of a report: readable in grey, with units, made without a display."""

from collections.abc import Mapping
from pathlib import Path

from drepm_pyg.experiments.canvas import COLORS, HATCHES, STYLES, canvas
from drepm_pyg.training import read_result
from drepm_pyg.training.metrics_file import read_numbers
from drepm_pyg.training.run import METRICS
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["draw_cosine_distance", "draw_learning_curves", "draw_lines", "draw_similarity_graph"]


def draw_learning_curves(path: Path, runs: Mapping[str, Path], *, metric: str = "val/recall@20") -> None:
    """Validation metric per epoch of several runs; a model without training is a level line.

    Args:
        path: the PNG file.
        runs: folder of each run.
        metric: a column of ``metrics.csv`` and a key of ``result.json``.
    """
    with canvas(path) as (axes,):
        for place, (name, folder) in enumerate(runs.items()):
            color, style = COLORS[place % len(COLORS)], STYLES[place % len(STYLES)]
            rows = [row for row in read_numbers(folder / METRICS) if metric in row]
            if not rows:
                level = read_result(folder)["metrics"][metric]
                axes.axhline(level, color=color, linestyle=style, label=name, linewidth=1.6)
                continue
            epochs, values = [int(row["epoch"]) for row in rows], [row[metric] for row in rows]
            axes.plot(epochs, values, color=color, linestyle=style, label=name, linewidth=1.6)
            best = max(range(len(values)), key=values.__getitem__)
            axes.plot(epochs[best], values[best], "o", color=color, markersize=5)
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True)
        axes.set_ylabel(metric.replace("val/", "validation "))
        axes.legend(frameon=False)


def draw_lines(path: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Recall@20 and NDCG@20 of each representation side by side, as in the paper's Figure 5.

    Args:
        path: the PNG file.
        metrics: metrics of each representation.
    """
    shown = ("recall@20", "ndcg@20")
    names = list(metrics)
    with canvas(path) as (axes,):
        width = 0.8 / len(names)
        for place, name in enumerate(names):
            where = [group + (place - (len(names) - 1) / 2) * width for group in range(len(shown))]
            bars = axes.bar(
                where,
                [metrics[name][metric] for metric in shown],
                width * 0.92,
                color=COLORS[place],
                hatch=HATCHES[place % len(HATCHES)],
                edgecolor="white",
                label=name,
            )
            axes.bar_label(bars, fmt="%.3f", fontsize=8, padding=2)
        axes.set_xticks(range(len(shown)), ["Recall@20", "NDCG@20"])
        axes.set_ylabel("test metric")
        axes.margins(y=0.15)
        axes.legend(frameon=False, ncols=len(names), loc="upper right")


def draw_cosine_distance(path: Path, run: Path) -> None:
    """Cosine distance between the behaviour and the modal representation per epoch, as in the paper's Figure 6.

    Args:
        path: the PNG file.
        run: the folder of a run that tracked its lines.
    """
    with canvas(path) as (axes,):
        for place, node in enumerate(("user", "item")):
            column = f"val/cosine_distance_{node}"
            rows = [row for row in read_numbers(run / METRICS) if column in row]
            axes.plot(
                [int(row["epoch"]) for row in rows],
                [row[column] for row in rows],
                color=COLORS[place],
                linestyle=STYLES[place],
                label=f"{node}s",
                linewidth=1.6,
            )
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True)
        axes.set_ylabel("mean cosine distance (1 - cos)")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)


def draw_similarity_graph(
    path: Path, edge_index: Int[Tensor, "2 E"], edge_weight: Float[Tensor, " E"], num_nodes: int, *, weight: str
) -> None:
    """How often nodes are neighbours, which shows hubs, beside the similarities of the edges; self loops left out.

    Args:
        path: the PNG file.
        edge_index: long ``[2, E]``, row 0 neighbours, row 1 centres.
        edge_weight: float ``[E]``.
        num_nodes: number of nodes N.
        weight: what the weights are, for the axis.
    """
    from drepm_pyg.graph import degree_histogram, hubness

    nodes = degree_histogram(edge_index, num_nodes)
    others = edge_index[0] != edge_index[1]
    mean = int(others.sum()) / max(1, num_nodes)
    with canvas(path, columns=2) as (left, right):
        # A few hubs stretch the axis: both are logarithmic, and what is 0 stands apart on the left.
        degree = [d for d, count in enumerate(nodes.tolist()) if count]
        left.plot(degree, nodes[degree].tolist(), ".", color=COLORS[0], markersize=4)
        left.axvline(mean, color="0.35", linestyle="--", linewidth=1.2, label=f"mean {mean:.1f}")
        left.set_xscale("symlog", linthresh=1)
        left.set_yscale("log")
        left.set_xlim(-0.3, 1.5 * max(degree, default=1) + 1)
        left.xaxis.set_major_formatter("{x:,.0f}")
        left.yaxis.set_major_formatter("{x:,.0f}")
        left.set_xlabel("times a neighbour ($N_k$)")
        left.set_ylabel("nodes")
        left.set_title(f"skewness {hubness(edge_index, num_nodes):.2f}", fontsize=10)
        left.legend(frameon=False)
        finite = edge_weight.isfinite()  # inner products of huge rows leave the range of float32
        values = edge_weight[others & finite].double().cpu().numpy()
        right.hist(values, bins=40, color=COLORS[1], edgecolor="white", linewidth=0.4)
        right.yaxis.set_major_formatter("{x:,.0f}")
        right.set_xlabel(weight)
        right.set_ylabel("edges")
        right.set_title(f"mean {values.mean():.3f}" if len(values) else "no edges", fontsize=10)
