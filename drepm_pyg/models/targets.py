r"""What the similarity-supervised signal compares with: the raw features' cosines among a batch's nodes (Eq. 12).

.. math:: T_{ij} = \sum_m \sqrt{\alpha_{mi} \alpha_{mj}} \cos(x_{mi}, x_{mj}) = \sum_m f_{mi} \cdot f_{mj}

:math:`\alpha_{mi}` is the weight of modality m, rescaled at each node to the modalities that it has, so that the
diagonal stays 1. A user's raw features are the mean of its training items' (of those that have the modality).
"""

from collections.abc import Mapping, Sequence

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._arrays import SPARSE_COST, large_empty, transpose_into
from drepm_pyg._checks import check_at_least
from drepm_pyg._memo import memoize
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.graph.products import gram
from drepm_pyg.models.multimodal import item_masks, select_modalities
from drepm_pyg.nn import resolve_weights
from drepm_pyg.nn.csr import CsrMatrix
from drepm_pyg.nn.functional import FactoredSimilarity, ImplicitSimilarity, IndexedSimilarity
from drepm_pyg.nn.structure import SparseStructure, mean_structure
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["SimilarityTargets"]

_ROWS_AT_ONCE = 4096  # raw features formed beside the table that they go into
_STRIP = 256  # users whose products with all others are formed at a time
_IN_RANGE = (1e-15, 1e15)  # lengths whose squares float32 holds
_CANCELLED = 1 / 32  # of the mean length of a user's items: a shorter mean is what products of the items lose


class SimilarityTargets:
    """Eq. 12's target among a batch's users or items: looked up or by factors, whichever costs less; both are exact.

    What depends on the data alone (the users' summed features, the similarities of all nodes) is computed at the first
    call for a data set and kept as long as its ``edge_index``.

    Args:
        weights: weight of each modality, naming those that are used; None: all modalities of the data, weighted as by
            :class:`drepm_pyg.nn.ModalEncoder`.
        memory_budget: bytes that one table kept for the whole data set may take.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, *, memory_budget: int = 2**31) -> None:
        check_at_least(0, memory_budget=memory_budget)
        self.weights = None if weights is None else resolve_weights(weights, weights)
        self.memory_budget = memory_budget

    def __call__(
        self, data: HeteroData, node: str, ids: Int[Tensor, " B"], like: Float[Tensor, "_ D"]
    ) -> ImplicitSimilarity:
        """The target among the nodes ``ids`` of type ``node`` ("user" or "item") for the representations ``like``."""
        names = select_modalities(data, None if self.weights is None else list(self.weights))
        weights = resolve_weights(names, self.weights)
        features = {name: data["item"][name] for name in weights}
        masks = item_masks(data, weights)
        edge_index = training_pairs(data)
        dtype = torch.promote_types(like.dtype, torch.float32)  # the losses compute half inputs in float32, too
        size = data["user"].num_nodes, data["item"].num_nodes

        def build() -> _Nodes:
            items = [_ItemRows(x.to(dtype), masks.get(name)) for name, x in features.items()]
            if node == "item":
                return _Nodes(items, list(weights.values()), self.memory_budget)
            means = [mean_structure(edge_index, *size, masks.get(name)) for name in features]
            users = [_UserRows(mean, rows.x) for mean, rows in zip(means, items, strict=True)]
            return _Nodes(users, list(weights.values()), self.memory_budget)

        key = ("similarity target", node, size, dtype, self.memory_budget, tuple(weights.items()))
        nodes = memoize(key, build, edge_index, *features.values(), *masks.values())
        return nodes.target(ids, embedding_dim=like.size(1))


class _ItemRows:
    """The raw features of items in one modality, by ids."""

    def __init__(self, x: Float[Tensor, "I F"], mask: Bool[Tensor, " I"] | None) -> None:
        self.x = x.detach() if mask is None else x.detach().masked_fill(~mask.unsqueeze(1), 0)
        self.present = x.new_ones(len(x), dtype=torch.bool) if mask is None else mask

    def __call__(self, ids: Int[Tensor, " B"]) -> Float[Tensor, "B F"]:
        return self.x.index_select(0, ids)


class _UserRows:
    """The raw features of users in one modality, by ids."""

    def __init__(self, mean: SparseStructure, x: Float[Tensor, "I F"]) -> None:
        self.mean, self.x = mean, x
        self.present = mean.row_counts() > 0

    def __call__(self, ids: Int[Tensor, " B"]) -> Float[Tensor, "B F"]:
        return self.mean.forward.select(ids).matmul(self.x)

    def saved_products(self, num_users: int) -> float:
        """Multiply-adds saved by :meth:`by_products` over the Gram matrix of the users' own rows; below 0: added."""
        num_items, width = self.x.shape
        sparse = len(self.mean.forward.index) * (num_items + num_users / 2)
        return (num_users**2 - num_items**2) * width / 2 - SPARSE_COST * sparse

    def cancels(self, length: Float[Tensor, " U"]) -> Bool[Tensor, " U"]:
        """Whose items nearly cancel one another, by the length of their mean."""
        return length < _CANCELLED * self.mean.forward.matmul(_lengths(self.x).unsqueeze(1)).squeeze(1)

    def by_products(self, scale: Float[Tensor, " U"]) -> tuple[CsrMatrix, Float[Tensor, "I I"]]:
        r"""Q and G of :math:`S P X (S P X)^\top = Q G Q^\top`, S = diag(``scale``): no row in raw width.

        G are the products of rows of length 1, so that no product leaves the range of the type.
        """
        length = _lengths(self.x)
        return self.mean.forward.scaled(scale, length), gram(self.x / length.unsqueeze(1))


class _Nodes:
    """All nodes of one type: the target among all of them or the factors of all of them, where they fit the budget."""

    def __init__(self, rows: Sequence[_ItemRows | _UserRows], weights: Sequence[float], memory_budget: int) -> None:
        self.rows = rows
        self.width = sum(modality.x.size(1) for modality in rows)
        present = torch.stack([modality.present for modality in rows])
        alpha = rows[0].x.new_tensor(weights).unsqueeze(1) * present
        # A node without any modality has sum 0: its row of the target is 0, not NaN.
        self.root_alpha = (alpha / alpha.sum(0).clamp(min=torch.finfo(alpha.dtype).tiny)).sqrt()
        num_nodes, entry = present.size(1), alpha.element_size()
        self.whole_fits = num_nodes**2 * entry <= memory_budget
        self.table_fits = num_nodes * self.width * entry <= memory_budget
        self.whole: Tensor | None = None
        self.table: Tensor | None = None

    def target(self, ids: Int[Tensor, " B"], *, embedding_dim: int) -> ImplicitSimilarity:
        """The cheaper of the two exact forms; the numbers are operations per row of the batch."""
        # A B x B matrix costs several passes through memory, about as much as 26 products of width D (measured).
        gathered = 26 * len(ids) * embedding_dim
        factored = self.width * min(self.width, len(ids)) + 4 * self.width * embedding_dim
        if self.whole_fits and gathered < factored:
            if self.whole is None:
                self.whole = self._matrix()
            return IndexedSimilarity(self.whole, ids)
        if self.table is None and self.table_fits:
            self.table = self._factors(torch.arange(self.root_alpha.size(1), device=ids.device))
        factors = self._factors(ids) if self.table is None else self.table.index_select(0, ids)
        return FactoredSimilarity([factors])

    def _factors(self, ids: Int[Tensor, " B"]) -> Float[Tensor, "B F"]:
        """:math:`f_m` of all modalities, side by side."""
        factors = large_empty(len(ids), self.width, dtype=self.root_alpha.dtype, device=self.root_alpha.device)
        parts = factors.split([modality.x.size(1) for modality in self.rows], dim=1)
        for root, modality, part in zip(self.root_alpha, self.rows, parts, strict=True):
            for some, out in zip(ids.split(_ROWS_AT_ONCE), part.split(_ROWS_AT_ONCE), strict=True):
                x = modality(some)
                torch.mul(x, (root.index_select(0, some) / _lengths(x)).unsqueeze(1), out=out)
        return factors

    def _matrix(self) -> Float[Tensor, "N N"]:
        """The target among all nodes."""
        num_nodes = self.root_alpha.size(1)
        ids = torch.arange(num_nodes, device=self.root_alpha.device)
        users = [modality for modality in self.rows if isinstance(modality, _UserRows)]
        if sum(modality.saved_products(num_nodes) for modality in users) <= 0:
            return gram(self._factors(ids))
        blocks = ids.split(_ROWS_AT_ONCE)
        length = [torch.cat([_lengths(modality(block)) for block in blocks]) for modality in users]
        cancelled = torch.stack([modality.cancels(n) for modality, n in zip(users, length, strict=True)]).any(dim=0)
        root_alpha = self.root_alpha.masked_fill(cancelled, 0)
        total = _sum_of_products([m.by_products(r / n) for m, r, n in zip(users, root_alpha, length, strict=True)])
        if cancelled.any():
            self._from_own_rows(total, ids, cancelled)
        return total

    def _from_own_rows(self, total: Float[Tensor, "U U"], ids: Int[Tensor, " U"], chosen: Bool[Tensor, " U"]) -> None:
        """Put in the products of some users with all others that their rows in raw width have."""
        for some in ids[chosen].split(_ROWS_AT_ONCE):
            own = self._factors(some)
            for block in ids.split(_ROWS_AT_ONCE):
                products = own @ self._factors(block).T
                total[some.unsqueeze(1), block] = products
                total[block.unsqueeze(1), some] = products.T


def _sum_of_products(parts: Sequence[tuple[CsrMatrix, Float[Tensor, "I I"]]]) -> Float[Tensor, "U U"]:
    r""":math:`\sum Q G Q^\top`, its lower half strip by strip: a sparse product, and another with its transpose."""
    (first, like), num_rows = parts[0], parts[0][0].num_rows
    total = large_empty(num_rows, num_rows, dtype=like.dtype, device=like.device)
    turned = large_empty(first.num_cols, _STRIP, dtype=like.dtype, device=like.device)
    for start in range(0, num_rows, _STRIP):
        stop = min(start + _STRIP, num_rows)
        block = torch.zeros((), dtype=like.dtype, device=like.device)
        for matrix, products in parts:
            half = transpose_into(matrix.rows(start, stop).matmul(products), turned[:, : stop - start])
            block = block + matrix.rows(start, num_rows).matmul(half)
        total[start:, start:stop] = block
        transpose_into(block[stop - start :], total[start:stop, stop:])
    return total


def _lengths(x: Float[Tensor, "B F"]) -> Float[Tensor, " B"]:
    """Of the rows, in float64 where squares could leave the range; a zero row has the smallest length there is."""
    length = torch.linalg.vector_norm(x, dim=1)
    odd = ~((length > _IN_RANGE[0]) & (length < _IN_RANGE[1]))
    length[odd] = torch.linalg.vector_norm(x[odd].double(), dim=1).to(x.dtype)
    return length.clamp(min=torch.finfo(x.dtype).tiny)
