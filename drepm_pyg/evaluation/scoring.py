"""Whatever ranks items, as one function from users to a block of scores."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_finite
from drepm_pyg.data import USER_ITEM
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["HasTables", "products", "scoring"]

Score = Callable[[Int[Tensor, " B"]], Float[Tensor, "B I"]]


@runtime_checkable
class HasTables(Protocol):
    """Anything with two tables to multiply."""

    @property
    def user(self) -> Float[Tensor, "U D"]: ...

    @property
    def item(self) -> Float[Tensor, "I D"]: ...


@contextmanager
def scoring(thing: Any, data: HeteroData) -> Iterator[tuple[Score, torch.device]]:
    """The function that gives a fresh block of scores, and its device; a module is in evaluation mode meanwhile.

    A model that calls itself ``factorized`` gives its tables once. Other tables are taken as they are, unless the model
    says that they are not all of it (``factorized = False``): then, as without tables, its ``score`` is asked.
    """
    training = isinstance(thing, nn.Module) and thing.training
    if training:
        thing.eval()
    try:
        yield _score(thing, data)
    finally:
        if training:
            thing.train()


def _score(thing: Any, data: HeteroData) -> tuple[Score, torch.device]:
    factorized = getattr(thing, "factorized", None)
    tables = thing(data) if factorized else thing
    if factorized is not False and _has_tables(tables):
        sizes = data["user"].num_nodes, data["item"].num_nodes
        if (len(tables.user), len(tables.item)) != sizes:
            raise ValueError(
                f"The tables must have a row per node (got {len(tables.user)} users and {len(tables.item)} items for "
                f"{sizes[0]} and {sizes[1]} in the data)."
            )
        return products(tables.user, tables.item), tables.user.device
    if callable(getattr(thing, "score", None)):
        return lambda rows: _checked(thing.score(data, rows), rows, data), data[USER_ITEM].edge_index.device
    raise TypeError(
        "'model_or_representations' must have 'user' and 'item' tables or score(data, user) (got "
        f"{type(thing).__name__})."
    )


def _has_tables(thing: Any) -> bool:
    # An nn.Embedding called 'user' is no table: what its module ranks by only its module knows.
    return isinstance(thing, HasTables) and isinstance(thing.user, Tensor) and isinstance(thing.item, Tensor)


def products(user: Float[Tensor, "U D"], item: Float[Tensor, "I D"]) -> Score:
    """Blocks of inner products, in float32 at least: half precision would make ties of what is none."""
    check_finite(user=user, item=item)
    user, item = (table.detach().float() if table.dtype.itemsize < 4 else table.detach() for table in (user, item))
    columns = item.T
    return lambda rows: user.index_select(0, rows) @ columns


def _checked(scores: Tensor, rows: Tensor, data: HeteroData) -> Tensor:
    """A copy, as ranking writes into it."""
    expected = [len(rows), data["item"].num_nodes]
    if list(scores.shape) != expected:
        raise ValueError(f"score(data, user) must give a score for every item, {expected} (got {list(scores.shape)}).")
    if scores.isnan().any():
        raise ValueError("score(data, user) must not give NaN. Check the weights and the features of the model.")
    return scores.detach().clone()
