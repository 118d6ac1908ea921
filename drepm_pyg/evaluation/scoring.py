"""Whatever ranks items, as scores by blocks of users."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_finite
from drepm_pyg.data import SPLIT_INDEX
from drepm_pyg.data.schema import split_pairs
from drepm_pyg.evaluation.evaluation_mode import evaluation_mode
from drepm_pyg.typing import Float, Int, Real, Tensor

__all__ = ["HasTables", "Products", "Score", "products", "ranked_by", "scoring"]

_ROWS = 8  # of a product, at least: of fewer, BLAS libraries round some columns differently, and equal items do not tie
_ITEMS = 192  # columns are padded to a multiple: kernels round what is left of a lane differently, too


@runtime_checkable
class HasTables(Protocol):
    """Anything with two tables to multiply."""

    @property
    def user(self) -> Float[Tensor, "U D"]: ...

    @property
    def item(self) -> Float[Tensor, "I D"]: ...


class Products:
    """The inner products of two tables.

    Args:
        user: float ``[U, D]``.
        item: float ``[I, D]``.
    """

    def __init__(self, user: Float[Tensor, "U D"], item: Float[Tensor, "I D"]) -> None:
        self.user, self.item = user, item
        self._padded = F.pad(item, (0, 0, 0, -len(item) % _ITEMS))

    def block(self, rows: Int[Tensor, " B"], used: Float[Tensor, "B2 P"] | None) -> Float[Tensor, "B P"]:
        """The scores of these rows, then -inf where lanes were filled up; in the memory ``used`` before."""
        count = max(len(rows), _ROWS)
        if used is None or len(used) < count:
            used = self.user.new_empty(count, len(self._padded))
        x = F.pad(self.user.index_select(0, rows), (0, 0, 0, count - len(rows)))
        torch.mm(x, self._padded.T, out=used[:count])
        used[:, len(self.item) :] = -torch.inf
        return used[: len(rows)]


Score = Products | Callable[[Int[Tensor, " B"]], Float[Tensor, "B I"]]


def ranked_by(model: Any, data: HeteroData) -> Any:
    """What a model ranks by: the tables of one forward where it calls itself ``factorized``, else the model itself.

    The tables are made in evaluation mode, and no gradient is recorded.
    """
    with evaluation_mode(model), torch.no_grad():
        return model(data) if getattr(model, "factorized", False) else model


@contextmanager
def scoring(
    thing: Any, data: HeteroData, *, name: str = "model_or_representations"
) -> Iterator[tuple[Score, torch.device]]:
    """What gives a block of scores, and its device; a module is in evaluation mode meanwhile.

    A model that calls itself ``factorized`` gives its tables once. Other tables are taken as they are, unless the model
    says that they are not all of it (``factorized = False``): then, as without tables, its ``score`` is asked. Errors
    call it by ``name``, its argument's.
    """
    with evaluation_mode(thing):
        yield _score(thing, data, name)


def _score(thing: Any, data: HeteroData, name: str) -> tuple[Score, torch.device]:
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
        return lambda rows: _checked(thing.score(data, rows), rows, data), _device_of(data)
    found = type(thing).__name__
    parts = [part for part in ("user", "item") if hasattr(thing, part)]
    if parts:
        kinds = " and ".join(f"'{part}' is a {type(getattr(thing, part)).__name__}" for part in parts)
        found += f", whose {kinds}: tables are torch tensors"
    raise TypeError(f"'{name}' must have 'user' and 'item' tables or score(data, user) (got {found}).")


def _device_of(data: HeteroData) -> torch.device:
    """Where the pairs are, of whatever split there is."""
    found = (split_pairs(data, split) for split in SPLIT_INDEX)
    return next((pairs.device for pairs in found if pairs is not None), torch.device("cpu"))


def _has_tables(thing: Any) -> bool:
    # An nn.Embedding called 'user' is no table: what its module ranks by only its module knows.
    return isinstance(thing, HasTables) and isinstance(thing.user, Tensor) and isinstance(thing.item, Tensor)


def products(user: Real[Tensor, "U D"], item: Real[Tensor, "I D"]) -> Products:
    """The products of two finite tables, in float32 at least: half precision would make ties of different scores.

    Counts are multiplied in float64, as are numbers whose products may overflow.
    """
    if user.ndim != 2 or item.ndim != 2 or user.size(1) != item.size(1):
        raise ValueError(
            f"'user' and 'item' must be [U, D] and [I, D] of one width (got {list(user.shape)} and {list(item.shape)})."
        )
    check_finite(user=user, item=item)
    dtype = torch.promote_types(_wide(user), _wide(item))
    user, item = user.detach().to(dtype), item.detach().to(dtype)
    if user.numel() and item.numel():
        largest = float(user.abs().max()) * float(item.abs().max()) * user.size(1)
        if largest > torch.finfo(dtype).max:
            user, item = user.double(), item.double()
    return Products(user, item)


def _wide(table: Tensor) -> torch.dtype:
    return torch.promote_types(table.dtype, torch.float32) if table.is_floating_point() else torch.float64


def _checked(scores: Tensor, rows: Tensor, data: HeteroData) -> Tensor:
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"score(data, user) must give a torch tensor (got a {type(scores).__name__}). Convert it: torch.as_tensor."
        )
    expected = [len(rows), data["item"].num_nodes]
    if list(scores.shape) != expected:
        raise ValueError(f"score(data, user) must give a score for every item, {expected} (got {list(scores.shape)}).")
    if scores.isnan().any():
        raise ValueError("score(data, user) must not give NaN. Check the weights and the features of the model.")
    return scores.detach().to(_wide(scores))
