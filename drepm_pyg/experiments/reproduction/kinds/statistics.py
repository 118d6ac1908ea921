"""Table 1: the size of the data."""

from collections.abc import Sequence

from drepm_pyg.data import modalities, modality_mask
from drepm_pyg.data.schema import pair_counts
from drepm_pyg.experiments.reproduction.measured import Measured
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.records import record
from drepm_pyg.experiments.reproduction.spec import Spec
from drepm_pyg.experiments.reproduction.table import Cell, Table, percent_cell

__all__ = ["make_statistics"]


def make_statistics(spec: Spec, measured: Sequence[Measured], context: Context) -> Output:
    """Users, items, interactions of all splits, and the share of pairs without one; the paper's data sets below."""
    users, items, splits = context.data["user"].num_nodes, context.data["item"].num_nodes, pair_counts(context.data)
    interactions = sum(splits.values())
    known = {
        "users": users,
        "items": items,
        "interactions": interactions,
        "sparsity": 1 - interactions / (users * items),
    }
    values = {name: known[name] for name in spec.metrics}
    published = spec.published_for(context.label).get("All", {})
    records = [
        record(
            spec.name,
            context.label,
            name,
            mean=value,
            published=published.get(name),
        )
        for name, value in values.items()
    ]
    rows = [[Cell(context.label), *(Cell(_show(name, value)) for name, value in values.items())]]
    if published:
        rows.append([Cell("difference"), *(percent_cell(each["difference"]) for each in records)])
    for name, given in spec.published.items():
        numbers = zip(spec.metrics, given["All"], strict=True)
        rows.append([Cell(f"{name} (published)"), *(Cell(_show(metric, value)) for metric, value in numbers)])
    parts = ", ".join(f"{count:,} {name}" for name, count in splits.items())
    return Output(
        spec,
        records,
        [Table(spec.title, ["data", *spec.metrics], rows)],
        notes=[f"Interactions by split: {parts}.", f"Modalities: {_modalities(context)}."],
    )


def _show(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if metric == "sparsity" else f"{value:,.0f}"


def _modalities(context: Context) -> str:
    told = []
    for name in modalities(context.data):
        mask = modality_mask(context.data, name)
        lacking = "" if mask is None else f", {int((~mask).sum()):,} items lack it"
        told.append(f"{name} ({context.data['item'][name].size(1)} wide{lacking})")
    return "; ".join(told) or "none"
