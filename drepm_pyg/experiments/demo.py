"""The demo: four models on MovieLens-100k, compared, drawn, and asked for films."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import require
from drepm_pyg._markdown import markdown_table
from drepm_pyg.data import USER_ITEM
from drepm_pyg.evaluation import evaluate
from drepm_pyg.evaluation.scoring import ranked_by
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.figures import draw_cosine_distance, draw_learning_curves, draw_lines
from drepm_pyg.experiments.reproduction.output import SHORT
from drepm_pyg.experiments.reproduction.users_file import LINES
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.experiments.yaml_file import read_yaml
from drepm_pyg.recommend import Recommender

if TYPE_CHECKING:
    from drepm_pyg.training import FitResult

__all__ = ["MODELS", "Demo", "demo", "demo_settings"]

MODELS = ("MostPopular", "BPR", "LightGCN", "DRepMRec")
METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes:
        results: the run of each model.
        table: a row per model: metrics and costs.
        report: the Markdown report; its pictures stand beside it.
    """

    results: "dict[str, FitResult]"
    table: list[dict[str, Any]]
    report: Path


def demo_settings(model: str) -> Experiment:
    """The settings of a model that were chosen on the validation pairs of MovieLens-100k.

    Example:
        >>> demo_settings("LightGCN").data
        'movielens'
    """
    with as_file(files("drepm_pyg.experiments") / "settings" / "movielens" / f"{model}.yaml") as path:
        return Experiment.from_config(read_yaml(path))


def demo(
    root: str | Path = ".demo",
    *,
    offline: bool = False,
    short: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Demo:
    """Train most-popular, BPR, LightGCN and DRepMRec, compare them, draw the report, recommend films.

    Args:
        root: where downloads, runs and the report go; runs of an earlier call are gone on with.
        offline: take :class:`drepm_pyg.data.SyntheticMultimodal` instead of MovieLens-100k; never done by itself.
        short: two epochs a model, to see that everything works.
        seed: of weights and triples.
        progress: progress bars on stderr.

    Raises:
        MissingExtraError: where matplotlib is not installed; before anything is downloaded or trained.
        OSError: where MovieLens-100k cannot be fetched; the message names ``offline``.
    """
    require("matplotlib", extra="plot", purpose="The demo's report")
    source = "synthetic" if offline else "movielens"
    place = f"{source}-short" if short else source
    cache = Path(root) / ".cache"
    try:
        data = load_data(source, cache=cache)
    except OSError as error:
        raise OSError(f"{error} Pass --offline to take synthetic data instead.") from error

    results = {}
    for name in MODELS:
        settings = replace(demo_settings(name), data=source)
        data = settings.with_graphs(data, cache)  # the graphs that one model reads do not disturb the next
        options = {"max_epochs": 2} if short else {}
        results[name] = settings.run(
            data,
            root=root,
            name=f"{place}/{name}",
            seed=seed,
            resume=True,
            track_lines=True,
            progress=progress,
            **options,
        )
    table = [_row(name, result) for name, result in results.items()]
    return Demo(results, table, _write_report(Path(root) / place, data, results, table, short=short))


def _row(name: str, result: "FitResult") -> dict[str, Any]:
    places = [(split, metric) for split in ("val", "test") for metric in METRICS]
    metrics = {f"{split} {metric}": result.metrics[f"{split}/{metric}"] for split, metric in places}
    return {"model": name, **metrics, "epochs": result.epochs, "seconds": round(result.seconds)}


def _write_report(
    folder: Path, data: HeteroData, results: "Mapping[str, FitResult]", table: list[dict[str, Any]], *, short: bool
) -> Path:
    ours = results["DRepMRec"]
    lines = ranked_by(ours.model, data).lines()
    apart = {shown: evaluate(lines[line], data) for line, shown in LINES.items()}
    draw_learning_curves(folder / "learning_curves.png", {name: r.path for name, r in results.items()})
    draw_lines(folder / "representations.png", apart)
    draw_cosine_distance(folder / "cosine_distance.png", ours.path)

    baseline = results["LightGCN"].metrics["test/recall@20"]
    gain = ours.metrics["test/recall@20"] - baseline
    verdict = "ahead of" if gain > 0 else "NOT ahead of"
    cells = [[f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row.values()] for row in table]
    report = folder / "report.md"
    report.write_text(
        "\n\n".join(
            [
                "# Four models compared",
                *([SHORT] if short else []),
                markdown_table(list(table[0]), cells),
                f"DRepMRec is {verdict} LightGCN: {gain:+.4f} ({gain / max(baseline, 1e-12):+.1%}) in test Recall@20, "
                "one seed. Full ranking; training items are left out, validation items are candidates.",
                "## Learning curves\n\n![Validation Recall@20 per epoch](learning_curves.png)",
                "## The three representations of DRepMRec apart\n\n![Test metrics by representation]"
                "(representations.png)",
                "## Distance between the two lines\n\n![Cosine distance per epoch](cosine_distance.png)",
                "## Recommendations\n\n" + _recommendations(Recommender(ours.model, data), data),
            ]
        )
        + "\n",
        encoding="utf-8",
    )
    return report


def _recommendations(recommender: Recommender, data: HeteroData, *, users: int = 3, films: int = 5) -> str:
    """Some users with held-out items: what they saw, what they are offered, and which of it they did see later."""
    titles = recommender.titles or [f"item {item}" for item in range(data["item"].num_nodes)]
    held_out = data[USER_ITEM].test_edge_label_index
    chosen = held_out[0].unique()
    chosen = chosen[torch.linspace(0, len(chosen) - 1, min(users, len(chosen))).long()]
    best = recommender.recommend(chosen, 2 * films).ids
    sections = []
    for user, offered in zip(chosen.tolist(), best.tolist(), strict=True):
        seen = recommender.history(user).tolist()
        later = set(held_out[1, held_out[0] == user].tolist())
        rows = [f"- {titles[item]}{' **(held out: seen)**' if item in later else ''}" for item in offered if item >= 0]
        known = "; ".join(titles[item] for item in seen[:films])
        sections.append(f"### User {user}\n\nSaw {len(seen)} items, among them {known}. Offered:\n\n" + "\n".join(rows))
    return "\n\n".join(sections)
