r"""Ranking metrics of every user, by the definitions of :mod:`torch_geometric.metrics`.

With :math:`r_j = 1` where the item at rank j is held out, T held-out items and the cut-off K:

- recall :math:`\frac{1}{T} \sum_{j \le K} r_j`, precision :math:`\frac{1}{K} \sum_{j \le K} r_j`, hit_ratio
  :math:`\max_{j \le K} r_j`;
- ndcg :math:`\sum_{j \le K} \frac{r_j}{\log_2(j + 1)}` by its largest value with :math:`\min(T, K)` hits;
- map :math:`\frac{1}{\min(T, K)} \sum_{j \le K} r_j \cdot \mathrm{precision@}j`; mrr :math:`\max_{j \le K} r_j / j`.
"""

from collections.abc import Sequence

import torch

from drepm_pyg._device import new_tensors_on
from drepm_pyg.evaluation.ranking import TopK
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["METRICS", "UserMetrics"]

#: Our name of a metric, and the class in torch_geometric.metrics.
METRICS = {
    "recall": "LinkPredRecall",
    "ndcg": "LinkPredNDCG",
    "precision": "LinkPredPrecision",
    "map": "LinkPredMAP",
    "mrr": "LinkPredMRR",
    "hit_ratio": "LinkPredHitRatio",
}


_USERS_AT_ONCE = 8192  # a block of scores has few users, and every metric takes several calls however many there are


class UserMetrics:
    """Metrics of users who come in blocks, with their held-out items.

    Args:
        user: users with held-out items, ascending, each once.
        pairs: their held-out pairs (user, item), each once, sorted.
        num_items: number of items.
        names: of :data:`METRICS`.
        ks: cut-offs.

    Shapes:
        user: long ``[n]``; pairs: long ``[2, E]``
    """

    def __init__(
        self,
        user: Int[Tensor, " n"],
        pairs: Int[Tensor, "2 E"],
        num_items: int,
        names: Sequence[str],
        ks: Sequence[int],
    ) -> None:
        from torch_geometric import metrics  # loads torchmetrics and, where it is installed, matplotlib

        self.row = torch.searchsorted(user, pairs[0].contiguous())
        self.item, self.num_items = pairs[1].contiguous(), num_items
        with new_tensors_on(user.device):
            self.metrics = {f"{name}@{k}": getattr(metrics, METRICS[name])(k) for k in ks for name in names}
        self._done = 0
        self._waiting: list[Tensor] = []
        self._values: dict[str, list[Tensor]] = {name: [] for name in self.metrics}

    def update(self, best: TopK) -> None:
        """The best items of the next users."""
        self._waiting.append(best.ids)
        if sum(map(len, self._waiting)) >= _USERS_AT_ONCE:
            self._measure()

    def compute(self) -> dict[str, Float[Tensor, " n"]]:
        """The value of every user so far, for each of the metrics."""
        if self._waiting:
            self._measure()
        return {name: torch.cat(values) for name, values in self._values.items()}

    def _measure(self) -> None:
        """The metrics of the users who wait."""
        from torch_geometric.metrics.link_pred import LinkPredMetricData

        ids = torch.cat(self._waiting)
        self._waiting.clear()
        first, self._done = self._done, self._done + len(ids)
        bounds = torch.tensor([first, self._done], device=self.row.device)
        begin, end = torch.searchsorted(self.row, bounds).tolist()
        # -1, a rank without an item, would be read as an item of the row before; an id that no item has is none.
        found = LinkPredMetricData(
            ids.masked_fill(ids < 0, self.num_items),
            torch.stack([self.row[begin:end] - first, self.item[begin:end]]),
        )
        for name, metric in self.metrics.items():
            # metric.update() would add the users up, in float32; its hook for subclasses gives each of them.
            self._values[name].append(metric._compute(found))
