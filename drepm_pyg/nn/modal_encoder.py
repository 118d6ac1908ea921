"""The modal line (Eq. 4-7): per modality a gate and one convolution over frozen graphs, then a weighted sum."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple, TypeAlias

import torch
from torch import nn
from torch_geometric.utils import is_sparse

from drepm_pyg._checks import (
    check_at_least,
    check_edge_index,
    check_mapping,
    check_non_negative,
    check_tensors,
)
from drepm_pyg.nn.absent import finite_where_absent
from drepm_pyg.nn.adjacency import are_followed
from drepm_pyg.nn.conv import KNNGraphConv
from drepm_pyg.nn.filter_gate import FilterGate
from drepm_pyg.nn.functional.numerics import is_traced
from drepm_pyg.nn.modality_dict import ModalityDict, check_by_modality, check_features, check_in_channels, check_masks
from drepm_pyg.nn.overrides import is_as_written, takes_structure
from drepm_pyg.nn.picked_rows import PickedRows
from drepm_pyg.nn.structure import SparseStructure, graph_structure, mean_structure
from drepm_pyg.typing import Adj, Bool, Float, Int, Tensor

__all__ = ["ModalEncoder", "resolve_weights"]

Graph: TypeAlias = Adj | Sequence[Tensor | None]


def resolve_weights(modalities: Iterable[str], weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """The modality weights of Eq. 7: as given, or 0.3 / 0.7 for exactly image and text, else equal.

    Raises:
        TypeError: where ``weights`` do not map names to numbers.
        ValueError: where the names are not those of ``modalities``, a weight is negative, or the sum is not 1.
    """
    if weights is not None:
        check_mapping(weights=weights)
    names = list(modalities)
    if weights is None:
        if set(names) == {"image", "text"}:
            return {name: {"image": 0.3, "text": 0.7}[name] for name in names}
        return {name: 1 / len(names) for name in names}
    if set(weights) != set(names):
        raise ValueError(f"'weights' must name exactly the modalities {sorted(names)} (got {sorted(weights)}).")
    check_non_negative(**{f"weights[{name!r}]": weight for name, weight in weights.items()})
    if abs(sum(weights.values()) - 1) > 1e-6:
        raise ValueError(f"'weights' must sum to 1 (got {dict(weights)}).")
    return {name: float(weights[name]) for name in names}


class ModalEncoder(nn.Module):
    r"""Modal representations of users and items from raw features and frozen similarity graphs (Eq. 4-7).

    .. math::
        \hat{E}_m &= \sigma(E_m W_m + b_m) \odot E_B^0 && \text{(Eq. 4)} \\
        \bar{E}_m &= \tilde{S}_m \hat{E}_m && \text{(Eq. 5-6)} \\
        \bar{E}_M &= \sum_m \alpha_m \bar{E}_m && \text{(Eq. 7)}

    Items and users share :math:`W_m, b_m`. A user's raw features are the mean of its training items', and
    :math:`(P X) W = P (X W)`: they are never formed. A modality that a node lacks adds nothing to it, and the node's
    other weights are rescaled to sum 1. A user has a masked modality if one of its training items has it; without a
    mask every node has the modality, and the raw features of a user without training items are 0.

    Args:
        in_channels: width F of the raw features of each modality.
        embedding_dim: width D of the ID embeddings.
        weights: :math:`\alpha_m` by modality, sum 1; None: 0.3 / 0.7 for exactly image and text, else equal.
        num_layers: convolutions over each graph.

    Shapes:
        id_user: float ``[U, D]``, id_item: float ``[I, D]``; features: mapping of modality to float ``[I, F]``;
        edge_index: long ``[2, E]`` training pairs (user, item), or a sparse ``adj_t`` ``[I, U]``; item_graphs,
        user_graphs: mapping of modality to any ``Adj`` or (``edge_index``, ``edge_weight``); masks: mapping of modality
        to bool ``[I]``, True = present; rows: ids of users long ``[B]`` and of items long ``[C]``, for which alone the
        last convolution is computed; returns (user float ``[U, D]``, item float ``[I, D]``), or their ``rows``

    Raises:
        TypeError: where ``features``, graphs or ``masks`` do not map modalities to what belongs to them.
        ValueError: where a modality's features or graphs are missing, or shapes do not fit.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        *,
        weights: Mapping[str, float] | None = None,
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        check_in_channels(in_channels)
        check_at_least(1, embedding_dim=embedding_dim, num_layers=num_layers)
        self.in_channels, self.embedding_dim, self.num_layers = dict(in_channels), embedding_dim, num_layers
        self.weights = resolve_weights(in_channels, weights)
        self.gates = ModalityDict({name: FilterGate(width, embedding_dim) for name, width in in_channels.items()})
        self.conv = KNNGraphConv()

    def reset_parameters(self) -> None:
        """Draw every gate anew."""
        for gate in self.gates.values():
            gate.reset_parameters()

    def forward(
        self,
        id_user: Float[Tensor, "U D"],
        id_item: Float[Tensor, "I D"],
        features: Mapping[str, Float[Tensor, "I _"]],
        edge_index: Adj,
        item_graphs: Mapping[str, Graph],
        user_graphs: Mapping[str, Graph],
        masks: Mapping[str, Bool[Tensor, " I"]] | None = None,
        *,
        rows: tuple[Int[Tensor, " B"], Int[Tensor, " C"]] | None = None,
    ) -> tuple[Float[Tensor, "_ D"], Float[Tensor, "_ D"]]:
        masks = {} if masks is None else masks
        check_tensors(id_user=id_user, id_item=id_item)
        for argument, table in (("id_user", id_user), ("id_item", id_item)):
            if table.ndim != 2 or table.size(1) != self.embedding_dim:
                raise ValueError(
                    f"'{argument}' must have the shape [N, {self.embedding_dim}] (got {list(table.shape)})."
                )
        check_features(self.in_channels, features)
        check_masks(self.in_channels, masks, features)
        check_by_modality(self.in_channels, item_graphs=item_graphs, user_graphs=user_graphs)
        users, items = [], []
        user_rows, item_rows = rows or (None, None)
        for name, gate in self.gates.items():
            raw, mask = features[name], masks.get(name)
            if raw.size(0) != id_item.size(0):
                raise ValueError(
                    f"'features[{name!r}]' must have one row per item (got {raw.size(0)} rows for {id_item.size(0)} "
                    "items)."
                )
            mean = mean_structure(edge_index, id_user.size(0), id_item.size(0), mask)
            user, item = _gated(gate, finite_where_absent(raw, mask), mean, id_user, id_item)
            user_mask = None if mask is None else mean.row_counts() > 0
            items.append(self._view(name, item, mask, item_graphs[name], item_rows))
            users.append(self._view(name, user, user_mask, user_graphs[name], user_rows))
        return _fuse(users), _fuse(items)  # Eq. 7

    def _view(self, name: str, x: Tensor, mask: Tensor | None, graph: Graph, rows: Tensor | None) -> "_View":
        """Eq. 5-6; rows that the mask leaves out send nothing."""
        edge_index, edge_weight = _parts(graph)
        if takes_structure(self.conv, KNNGraphConv) and not are_followed(edge_index, edge_weight):
            normalize = self.conv.normalize
            edge_index, edge_weight = graph_structure(edge_index, edge_weight, x.size(0), normalize=normalize), None
        if mask is not None:
            x = x * mask.unsqueeze(1)
        for _ in range(self.num_layers - 1):
            x = self.conv(x, edge_index, edge_weight)
        if rows is None:
            x = self.conv(x, edge_index, edge_weight)
        elif isinstance(edge_index, SparseStructure) and not is_traced() and is_as_written(self.conv, KNNGraphConv):
            x = PickedRows(edge_index, rows).matmul(x)
        else:
            x = self.conv(x, edge_index, edge_weight).index_select(0, rows)
        return _View(x, mask if mask is None or rows is None else mask[rows], self.weights[name])

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.embedding_dim}, weights={self.weights}, num_layers={self.num_layers}"


def _gated(
    gate: FilterGate, raw: Tensor, mean: SparseStructure, id_user: Tensor, id_item: Tensor
) -> tuple[Tensor, Tensor]:
    """Eq. 4 of users and items; users' raw features are formed for a gate that a subclass or a hook changed alone."""
    if not is_as_written(gate, FilterGate):
        return gate(mean.matmul(raw), id_user), gate(raw, id_item)
    projected = gate.project(raw)
    return gate.gate(mean.matmul(projected), id_user), gate.gate(projected, id_item)


def _parts(graph: Graph) -> tuple[Adj, Tensor | None]:
    """The adjacency, and its weights where they are given beside it."""
    if isinstance(graph, tuple | list) and len(graph) != 2:
        raise ValueError(
            f"A graph must be an adjacency or (edge_index, edge_weight) (got a {type(graph).__name__} of {len(graph)})."
        )
    edge_index, edge_weight = graph if isinstance(graph, tuple | list) else (graph, None)
    if not is_sparse(edge_index):
        check_edge_index(edge_index)
    if edge_weight is not None:
        check_tensors(edge_weight=edge_weight)
    return edge_index, edge_weight


class _View(NamedTuple):
    """One modality's line of one node set, the nodes that have the modality (None: all), and its weight."""

    x: Tensor
    mask: Tensor | None
    alpha: float


def _fuse(views: Sequence[_View]) -> Tensor:
    """Eq. 7, with the weights of absent modalities handed to those that are there."""
    if all(view.mask is None for view in views):
        return reduce(torch.add, [view.alpha * view.x for view in views])
    shares = [
        view.x.new_full((len(view.x), 1), view.alpha)
        if view.mask is None
        else view.alpha * view.mask.to(view.x).unsqueeze(1)
        for view in views
    ]
    total = reduce(torch.add, shares)
    whole = torch.where(total > 0, total, 1.0)  # no modality at all: a sum of nothing
    return reduce(torch.add, [share / whole * view.x for share, view in zip(shares, views, strict=True)])
