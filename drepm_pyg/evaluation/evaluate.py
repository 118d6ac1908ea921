"""Full-ranking evaluation on held-out pairs, in the protocol that the field publishes with."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice, check_finite, check_ids
from drepm_pyg.evaluation.metrics import METRICS
from drepm_pyg.evaluation.ranking import Exclusion, check_k, rank_blocks
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["HasTables", "PerUserMetrics", "evaluate", "evaluate_users"]

_USER_ITEM = ("user", "interacts", "item")
_ATTRIBUTES = {"train": "edge_index", "val": "val_edge_label_index", "test": "test_edge_label_index"}


@runtime_checkable
class HasTables(Protocol):
    """Anything with two tables to multiply."""

    @property
    def user(self) -> Float[Tensor, "U D"]: ...

    @property
    def item(self) -> Float[Tensor, "I D"]: ...


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
    exclude: Sequence[str] = ("train",),
    batch_size: int | None = None,
) -> dict[str, float]:
    """Rank all items for every user with held-out pairs and average the metrics over these users.

    Training items are left out of the ranking, at test time, too; validation items stay candidates then: that is the
    published protocol. ``exclude=("train", "val")`` leaves both out. The data is not validated; only ``num_nodes`` and
    the edge sets are read.

    Args:
        model_or_representations: anything with ``user`` and ``item`` tables, a model of the library, or anything with
            ``score(data, user)`` that gives ``[B, I]``.
        data: the schema's HeteroData.
        split: ``"val"`` or ``"test"`` (``"train"`` ranks with nothing of the training set left out).
        ks: cut-offs.
        metrics: of ``"recall"``, ``"ndcg"``, ``"precision"``, ``"map"``, ``"mrr"``, ``"hit_ratio"``.
        exclude: splits whose pairs are left out of the ranking.
        batch_size: users per block; None: chosen by size.

    Returns:
        mapping such as ``{"recall@20": 0.1}``; equal scores are ranked by the smaller id.

    Raises:
        ValueError: where the split has no pairs, a name is unknown, a cut-off is larger than the number of items,
            tables do not fit the data or are not finite.
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
    exclude: Sequence[str] = ("train",),
    batch_size: int | None = None,
) -> PerUserMetrics:
    """:func:`evaluate` before the average, for paired tests between models; the arguments are the same."""
    num_users, num_items = data["user"].num_nodes, data["item"].num_nodes
    for metric in metrics:
        check_choice(METRICS, metrics=metric)
    for k in ks:
        check_k(k, num_items)
    pairs = _pairs(data, split)
    if pairs.size(1) == 0:
        raise ValueError(f"'split' must have held-out pairs (got {split!r} with none). Choose another, or split anew.")
    check_ids(num_users, what="users", **{f"{split} users": pairs[0]})
    check_ids(num_items, what="items", **{f"{split} items": pairs[1]})
    left_out = [_pairs(data, name) for name in exclude if name != split]

    with _evaluating(model_or_representations):
        score = _scorer(model_or_representations, data, num_users, num_items)
        user, targets = pairs[0].unique(return_counts=True)
        wanted = (pairs[0] * num_items + pairs[1]).sort().values
        excluded = Exclusion(torch.cat(left_out, dim=1), num_users) if left_out else None
        hits = []
        for block, best in rank_blocks(score, user, num_items, max(ks), excluded, batch_size):
            key = block.unsqueeze(1) * num_items + best.ids
            place = torch.searchsorted(wanted, key).clamp(max=len(wanted) - 1)
            hits.append((wanted[place] == key) & (best.ids >= 0))
    hit = torch.cat(hits)
    values = {f"{name}@{k}": METRICS[name](hit[:, :k], targets) for k in ks for name in metrics}
    return PerUserMetrics(user, values)


def _pairs(data: HeteroData, split: str) -> Int[Tensor, "2 E"]:
    check_choice(_ATTRIBUTES, split=split)
    store = data[_USER_ITEM]
    if _ATTRIBUTES[split] not in store:
        raise ValueError(f"'split' {split!r} needs data{list(_USER_ITEM)}.{_ATTRIBUTES[split]}, which is missing.")
    pairs: Tensor = store[_ATTRIBUTES[split]]
    return pairs


@contextmanager
def _evaluating(thing: Any) -> Iterator[None]:
    """A module in evaluation mode, and back to what it was."""
    training = isinstance(thing, nn.Module) and thing.training
    if training:
        thing.eval()
    try:
        yield
    finally:
        if training:
            thing.train()


def _scorer(thing: Any, data: HeteroData, num_users: int, num_items: int) -> Callable[[Tensor], Tensor]:
    """What gives a block of scores: a product of tables where there are any, else the model's own ``score``."""
    if getattr(thing, "factorized", False):
        thing = thing(data)
    if not isinstance(thing, HasTables):
        if not callable(getattr(thing, "score", None)):
            raise TypeError(
                "'model_or_representations' must have 'user' and 'item' tables or score(data, user) (got "
                f"{type(thing).__name__})."
            )
        return lambda rows: thing.score(data, rows).clone()
    user, item = thing.user.detach(), thing.item.detach()
    if (len(user), len(item)) != (num_users, num_items):
        raise ValueError(
            f"The tables must have a row per node (got {len(user)} users and {len(item)} items for {num_users} and "
            f"{num_items} in the data)."
        )
    check_finite(user=user, item=item)
    columns = item.T
    return lambda rows: user[rows] @ columns
