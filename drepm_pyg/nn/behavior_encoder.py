"""The behaviour line (Eq. 1-3): LightGCN over the user-item graph, ID embeddings only."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import nn
from torch_geometric.utils import is_sparse

from drepm_pyg._checks import check_at_least, check_choice, check_id_vectors, check_ids
from drepm_pyg.nn.conv import LightGCNConv
from drepm_pyg.nn.functional.numerics import is_traced
from drepm_pyg.nn.layer_mean import layer_mean, layer_mean_at
from drepm_pyg.nn.overrides import is_as_written, takes_structure
from drepm_pyg.nn.structure import interaction_structure
from drepm_pyg.typing import Adj, Float, Int, Tensor

__all__ = ["BehaviorEncoder", "BehaviorRows", "Readout"]

Readout = Callable[[Sequence[Tensor]], Tensor]

_READOUTS: dict[str, Readout] = {
    "mean": lambda layers: reduce(torch.add, layers) / len(layers),
    "sum": lambda layers: reduce(torch.add, layers),
    "last": lambda layers: layers[-1],
}


class BehaviorRows(NamedTuple):
    """Rows of the behaviour line for some users and items, and their ID embeddings.

    Shapes:
        user, ego_user: float ``[B, D]``; item, ego_item: float ``[C, D]``
    """

    user: Tensor
    item: Tensor
    ego_user: Tensor
    ego_item: Tensor


class BehaviorEncoder(nn.Module):
    r"""ID embeddings propagated over the symmetrically normalised user-item graph (Eq. 1-3).

    .. math::
        E_B^{l+1} = D^{-1/2} A D^{-1/2} E_B^l, \qquad \bar{E}_B = \mathrm{Readout}(E_B^0, \dots, E_B^L)

    Args:
        num_users: number of users U.
        num_items: number of items I.
        embedding_dim: width D of the tables (Xavier uniform).
        num_layers: number L of propagations.
        readout: ``"mean"``, ``"sum"``, ``"last"``, or any callable on the list of the L + 1 layers ``[U + I, D]``.

    Attributes:
        conv: a :class:`LightGCNConv`; another one is called as ``conv((x_src, x_dst), edge_index)``, from users to
            items and, with the pairs turned, back.

    Shapes:
        edge_index: long ``[2, E]`` pairs (user, item), or a sparse ``adj_t`` ``[I, U]``, whose weights count;
        returns (user float ``[U, D]``, item float ``[I, D]``), or as wide as a callable readout makes them

    Raises:
        TypeError: where a callable readout gives no tensor.
        ValueError: where it gives another number of rows, or ids or shapes do not fit.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 64,
        num_layers: int = 2,
        *,
        readout: str | Readout = "mean",
    ) -> None:
        super().__init__()
        check_at_least(1, num_users=num_users, num_items=num_items, embedding_dim=embedding_dim)
        check_at_least(0, num_layers=num_layers)
        if not callable(readout):
            check_choice(_READOUTS, readout=readout)
        self.num_users, self.num_items, self.embedding_dim = num_users, num_items, embedding_dim
        self.num_layers, self.readout = num_layers, readout
        self.user_embedding = nn.Embedding(num_users, embedding_dim)
        self.item_embedding = nn.Embedding(num_items, embedding_dim)
        self.conv = LightGCNConv()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables (Xavier uniform)."""
        nn.init.xavier_uniform_(self.user_embedding.weight)
        nn.init.xavier_uniform_(self.item_embedding.weight)

    def forward(self, edge_index: Adj) -> tuple[Float[Tensor, "U _"], Float[Tensor, "I _"]]:
        user, item = self.user_embedding.weight, self.item_embedding.weight
        return self.propagate(user, item, edge_index)

    def at(self, edge_index: Adj, user: Int[Tensor, " B"], item: Int[Tensor, " C"]) -> BehaviorRows:
        """Rows of :meth:`forward` for some ids, repeated ones too, and their ID embeddings: what a batch's loss needs.

        A layer is computed for the rows that these need alone, where they hold few of the pairs. Where a subclass
        overrides :meth:`forward` or :meth:`propagate`, or hooks are registered, the rows are taken from what they give.

        Raises:
            TypeError: where the ids are no tensors of integers.
            ValueError: where they are no vectors, or an id is out of range (on a GPU, which would have to wait for the
                answer, torch's own error comes later).
        """
        check_id_vectors(user=user, item=item)
        try:
            return self._at(edge_index, user, item)
        except IndexError:  # looked for only then: a search of every batch would take time
            check_ids(self.num_users, what="users", user=user)
            check_ids(self.num_items, what="items", item=item)
            raise

    def _at(self, edge_index: Adj, user: Int[Tensor, " B"], item: Int[Tensor, " C"]) -> BehaviorRows:
        ego_user, ego_item = self.user_embedding.weight, self.item_embedding.weight
        averaged = self._averages() and self.num_layers > 0
        if averaged and is_as_written(self, BehaviorEncoder, "propagate"):
            to_users = interaction_structure(edge_index, self.num_users, self.num_items)
            return BehaviorRows(*layer_mean_at(ego_user, ego_item, to_users, self.num_layers, user, item))
        users, items = self(edge_index)
        tables = ((users, user), (items, item), (ego_user, user), (ego_item, item))
        return BehaviorRows(*(table.index_select(0, ids) for table, ids in tables))

    def propagate(
        self, user: Float[Tensor, "U D"], item: Float[Tensor, "I D"], edge_index: Adj
    ) -> tuple[Float[Tensor, "U _"], Float[Tensor, "I _"]]:
        """The same propagation and readout for any embeddings of the users and items."""
        to_users = interaction_structure(edge_index, self.num_users, self.num_items)
        if self._averages():
            return layer_mean(user, item, to_users, self.num_layers)
        users, items = [user], [item]  # E_B^0, in its two halves: joining them would copy every layer
        back, forth = (to_users, to_users.T) if self._multiplies() else (_turned(edge_index), edge_index)
        for _ in range(self.num_layers):  # Eq. 2
            user, item = users[-1], items[-1]
            users.append(self.conv((item, user), back))
            items.append(self.conv((user, item), forth))
        if isinstance(self.readout, str):  # Eq. 3
            readout = _READOUTS[self.readout]
            return readout(users), readout(items)
        joined = [torch.cat(halves) for halves in zip(users, items, strict=True)]
        out = self.readout(joined)
        _check_readout(out, self.num_users + self.num_items)
        out_user, out_item = out.split([self.num_users, self.num_items])
        return out_user, out_item

    def _multiplies(self) -> bool:
        """Whether the convolution is a product with the frozen graph; one of another kind is given the pairs."""
        return takes_structure(self.conv, LightGCNConv) and self.conv.normalize

    def _averages(self) -> bool:
        """Whether the mean of the layers may be made in one step, which calls no convolution."""
        as_written = self._multiplies() and is_as_written(self.conv, LightGCNConv)
        return self.readout == "mean" and as_written and not is_traced()

    def extra_repr(self) -> str:
        return f"{self.num_users}, {self.num_items}, {self.embedding_dim}, {self.num_layers}, readout={self.readout!r}"


def _turned(edge_index: Adj) -> Adj:
    """The pairs (item, user), or their ``adj_t``."""
    return edge_index.t() if is_sparse(edge_index) else edge_index.flip(0)


def _check_readout(out: Tensor, rows: int) -> None:
    """A matrix with a row per node."""
    if not isinstance(out, Tensor):
        raise TypeError(f"'readout' must return a torch tensor [{rows}, D] (got a {type(out).__name__}).")
    if out.ndim != 2 or out.size(0) != rows:
        raise ValueError(
            f"'readout' must return a row per user and item, [{rows}, D] (got {list(out.shape)}). It is given the list "
            "of the layers."
        )
