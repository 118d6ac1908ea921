"""Full-ranking evaluation on held-out pairs, in the protocol that the field publishes with."""

from collections.abc import Collection, Sequence, Set
from typing import Any, NamedTuple

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice, check_list, check_pairs
from drepm_pyg.data import SPLIT_INDEX, USER_ITEM
from drepm_pyg.data.schema import check_hetero_data, node_count, split_pairs
from drepm_pyg.evaluation.metrics import METRICS, UserMetrics
from drepm_pyg.evaluation.ranking import Exclusion, check_k, rank_blocks
from drepm_pyg.evaluation.scoring import scoring
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["PerUserMetrics", "check_request", "evaluate", "evaluate_users"]


class PerUserMetrics(NamedTuple):
    """Metrics of every user that has held-out pairs.

    Shapes:
        user: long ``[n]`` ids, ascending; values: mapping such as ``"recall@20"`` to float ``[n]``
    """

    user: Int[Tensor, " n"]
    values: dict[str, Float[Tensor, " n"]]

    def mean(self) -> dict[str, float]:
        """The average over the users."""
        return {name: float(value.double().mean()) for name, value in self.values.items()}


def evaluate(
    model_or_representations: Any,
    data: HeteroData,
    *,
    split: str = "test",
    ks: Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg"),
    exclude: Collection[str] = ("train",),
    batch_size: int | None = None,
) -> dict[str, float]:
    """Rank all items for every user with held-out pairs and average the metrics over these users.

    Training items are left out of the ranking, at test time, too; validation items stay candidates then: that is the
    published protocol. ``exclude=("train", "val")`` leaves both out. The data is not validated; only ``num_nodes`` and
    the edge sets are read. Equal scores are ranked by the smaller id.

    Args:
        model_or_representations: a model of the library, anything with ``user`` and ``item`` tables, or anything with
            ``score(data, user)`` that gives ``[B, I]``. A module is put into evaluation mode meanwhile.
        data: the schema's HeteroData.
        split: ``"val"`` or ``"test"``, or ``"train"`` to see how well the training pairs are fitted.
        ks: cut-offs.
        metrics: of ``"recall"``, ``"ndcg"``, ``"precision"``, ``"map"``, ``"mrr"``, ``"hit_ratio"``.
        exclude: splits whose pairs are left out of the ranking; never the pairs of ``split`` itself.
        batch_size: users per block; None: chosen by size.

    Returns:
        mapping such as ``{"recall@20": 0.1}``.

    Raises:
        ValueError: where the split has no pairs, a name is unknown, a cut-off is larger than the number of items,
            tables or scores do not fit the data or are not finite.
        TypeError: where ``model_or_representations`` has neither tables nor a score, or gives others than torch
            tensors; where ``data`` is no HeteroData.
    """
    return evaluate_users(
        model_or_representations,
        data,
        split=split,
        ks=ks,
        metrics=metrics,
        exclude=exclude,
        batch_size=batch_size,
    ).mean()


@torch.no_grad()
def evaluate_users(
    model_or_representations: Any,
    data: HeteroData,
    *,
    split: str = "test",
    ks: Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg"),
    exclude: Collection[str] = ("train",),
    batch_size: int | None = None,
) -> PerUserMetrics:
    """:func:`evaluate` before the average, for paired tests between models; the arguments are the same."""
    check_hetero_data(data)
    num_users, num_items = node_count(data, "user"), node_count(data, "item")
    check_request(ks, metrics, num_items)
    if not ks or not metrics:
        raise ValueError(f"'ks' and 'metrics' must name at least one of each (got {ks} and {metrics}).")
    pairs = _pairs(data, split, "split")
    if pairs.size(1) == 0:
        raise ValueError(f"'split' must have held-out pairs (got {split!r} with none). Choose another, or split anew.")
    if not isinstance(exclude, Set):
        check_list(exclude=exclude)
    hidden = [_pairs(data, name, "exclude") for name in exclude if name != split]

    with scoring(model_or_representations, data) as (score, device):
        # Sorted by user; a pair that stands twice counts once.
        key = (pairs[0] * num_items + pairs[1]).to(device).unique()
        pairs = torch.stack([key // num_items, key % num_items])
        user = pairs[0].unique_consecutive()
        excluded = Exclusion(torch.cat(hidden, dim=1).to(device), num_users) if hidden else None
        # NumPy's narrow integers overflow.
        measured = UserMetrics(user, pairs, num_items, metrics, [int(k) for k in ks])
        for _, best in rank_blocks(score, user, num_items, max(ks), excluded, batch_size):
            measured.update(best)
    return PerUserMetrics(user, measured.compute())


def check_request(ks: Sequence[int], metrics: Sequence[str], num_items: int) -> None:
    """Lists of cut-offs that the items allow and of metrics that are known; either may be empty."""
    check_list(ks=ks, metrics=metrics)
    for metric in metrics:
        check_choice(METRICS, metrics=metric)
    for k in ks:
        check_k(k, num_items, name="ks")


def _pairs(data: HeteroData, split: str, argument: str) -> Int[Tensor, "2 E"]:
    """The pairs of a split, with ids that exist."""
    check_choice(SPLIT_INDEX, **{argument: split})
    name = SPLIT_INDEX[split]
    pairs = split_pairs(data, split)
    if pairs is None:
        raise ValueError(f"'{argument}' {split!r} needs data{list(USER_ITEM)}.{name}, which is missing.")
    check_pairs(pairs, data["user"].num_nodes, data["item"].num_nodes, name=name)
    return pairs
