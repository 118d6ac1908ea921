"""ItemKNN: the nearest neighbours of what a user already has, by interactions, content, or both; no training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_choice, check_fraction, check_non_negative
from drepm_pyg._memo import memoize
from drepm_pyg.data import modality_mask
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.graph import knn_graph, user_cooccurrence_graph
from drepm_pyg.models.base import RecommenderModel, Representations
from drepm_pyg.models.multimodal import select_modalities
from drepm_pyg.nn import resolve_weights
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["ItemKNN"]

_SOURCES = ("interactions", "content", "both")

_OF_ALL_MODULES = frozenset(vars(nn.Module()))  # attributes that tell nothing of a model


class ItemKNN(RecommenderModel):
    r"""Score an item by its similarity to the user's items, over the k nearest neighbours of each item.

    "Item-based top-N recommendation algorithms", TOIS 2004, https://doi.org/10.1145/963770.963776

    .. math::
        \hat{y}_{ui} = \sum_{j \in \mathcal{I}_u \cap \mathcal{N}_k(i)} s_{ji}, \qquad
        s_{ji} = \frac{|\mathcal{U}_j \cap \mathcal{U}_i|}{\sqrt{|\mathcal{U}_j| |\mathcal{U}_i|} + h}
        \quad \text{(interactions)}, \qquad
        s_{ji} = \sum_m \alpha_m \cos(x_j^m, x_i^m) \quad \text{(content)}

    Each modality has its own neighbours; ``"both"`` is :math:`(1 - c) s^{interactions} + c \, s^{content}`.
    Deviations from the paper: the neighbours are those of the candidate item, as in most later comparisons, and the
    similarities are not normalised by column.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        source: ``"interactions"``, ``"content"``, or ``"both"``.
        k: neighbours of each item.
        shrink: :math:`h`, takes confidence from pairs of rare items.
        content_weight: :math:`c`, the share of the content where both are used.
        weights: :math:`\alpha_m` by modality, naming those that are used; None: all modalities, equal weights.

    Reference:
        ItemKNN | 2004 | TOIS | ids, features, item graph | neighbourhood
    """

    factorized = False
    trainable = False

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        source: str = "interactions",
        k: int = 10,
        shrink: float = 0.0,
        content_weight: float = 0.5,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(num_users, num_items)
        check_choice(_SOURCES, source=source)
        check_at_least(1, k=k)
        check_non_negative(shrink=shrink)
        check_fraction(content_weight=content_weight)
        self.source, self.k, self.shrink, self.content_weight = source, k, shrink, content_weight
        self.weights = None if weights is None else resolve_weights(weights, weights)

    def forward(self, data: HeteroData) -> Representations:
        """Dense tables of width I: what each user has, and what it adds to the score of each item."""
        history, similarity = self._factors(data)
        tables = (torch.from_numpy(factor.toarray()) for factor in (history, similarity.T))
        return Representations(*(table.to(training_pairs(data).device) for table in tables))

    def score(
        self, data: HeteroData, user: Int[Tensor, " B"], item: Int[Tensor, " C"] | None = None
    ) -> Float[Tensor, "B C"]:
        self.check_asked(user, item)
        history, similarity = self._factors(data)
        scores = torch.from_numpy((history[user.cpu().numpy()] @ similarity).toarray())
        scores = scores.to(training_pairs(data).device)
        return scores if item is None else scores[:, item]

    def _factors(self, data: HeteroData) -> tuple[csr_array, csr_array]:
        """R and S, whose product are the scores, each built once per data set."""
        edge_index = training_pairs(data)
        history = memoize(
            ("history", self.num_users, self.num_items),
            lambda: _incidence(edge_index, self.num_users, self.num_items),
            edge_index,
        )
        inputs = [value for value in data["item"].values() if isinstance(value, Tensor)]
        # Sizes and the arguments of subclasses, too, which no repr need tell.
        state = ((name, repr(value)) for name, value in vars(self).items() if name not in _OF_ALL_MODULES)
        return history, memoize((type(self), *state), lambda: self.similarity(data), edge_index, *inputs)

    def similarity(self, data: HeteroData) -> csr_array:
        """The sparse matrix S: row j, column i, :math:`s_{ji}` where j is among the k nearest neighbours of i."""
        share = {"interactions": 0.0, "content": 1.0, "both": self.content_weight}[self.source]
        graphs = []
        if share < 1:
            graphs.append((1 - share, self._by_interactions(data)))
        if share > 0:
            graphs += [(share * alpha, graph) for alpha, graph in self._by_content(data)]
        source, target = torch.cat([edge_index for _, (edge_index, _) in graphs], dim=1).cpu().numpy()
        value = torch.cat([factor * weight for factor, (_, weight) in graphs]).cpu().numpy()
        return _sparse(value, source, target, (self.num_items, self.num_items))

    def _by_interactions(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        item_user = training_pairs(data).flip(0)
        return user_cooccurrence_graph(
            item_user, self.num_items, self.num_users, self.k, metric="cosine", shrink=self.shrink
        )

    def _by_content(self, data: HeteroData) -> list[tuple[float, tuple[Tensor, Tensor]]]:
        names = select_modalities(data, None if self.weights is None else list(self.weights))
        weights = dict.fromkeys(names, 1 / len(names)) if self.weights is None else self.weights
        return [
            (alpha, knn_graph(data["item"][name], self.k, return_weight=True, mask=modality_mask(data, name)))
            for name, alpha in resolve_weights(names, weights).items()
        ]

    def extra_repr(self) -> str:
        return (
            f"source={self.source!r}, k={self.k}, shrink={self.shrink}, content_weight={self.content_weight}, "
            f"weights={self.weights}"
        )


def _incidence(edge_index: Int[Tensor, "2 E"], num_users: int, num_items: int) -> csr_array:
    """R: ones at the training pairs, those that occur twice too."""
    user, item = edge_index.cpu().numpy()
    history = _sparse(np.ones(len(user)), user, item, (num_users, num_items))
    history.data[:] = 1
    return history


def _sparse(value: Any, row: Any, column: Any, shape: tuple[int, int]) -> csr_array:
    """A float32 matrix; entries at the same place are added."""
    return csr_array((value.astype(np.float32), (row, column)), shape=shape)
