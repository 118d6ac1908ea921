"""Feature rows that lie on a GPU and stay there: what a search reads of them are numbers per row and per pair."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.features import Features
from drepm_pyg.graph.inner import row_marks
from drepm_pyg.graph.metrics import Metric
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.typing import Float, Tensor

__all__ = ["DeviceRows", "on_one_gpu", "row_products"]


def on_one_gpu(parts: Mapping[str, Features]) -> bool:
    """Whether all features are tensors of one CUDA device; others have no float64, or no memory of their own."""
    devices = {x.device if isinstance(x, torch.Tensor) else None for x in parts.values()}
    return len(devices) == 1 and all(device is not None and device.type == "cuda" for device in devices)


class DeviceRows(FeatureRows):
    """:class:`FeatureRows` of tensors on one device, measured and scored there in float64.

    No GPU has run it yet. Rows come to the CPU where they may be identical to others, where squares of short rows
    vanish, and where a centre is compared with all rows in float64, as its shortlist does not decide.
    """

    def tensor(self, ids: NDArray[np.int64]) -> Tensor:
        """See :class:`drepm_pyg.graph.rows.Rows`."""
        return self._on_device(self.ties.first[ids])

    def pair_scores(self, metric: Metric, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """See :class:`drepm_pyg.graph.rows.Rows`."""
        step = max(1, self._block_bytes // (32 * self.width))
        parts = slices(0, len(left), step)
        return np.concatenate([self._score(metric, left[part], right[part]) for part in parts])

    def _score(self, metric: Metric, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        sums = metric.sums(self.tensor(left), self.tensor(right), row_products)
        return super().pair_scores(metric, left, right) if metric.vanished(sums) else metric.of_sums(sums)

    def _measure(self, nodes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rows = self._on_device(nodes)
        return row_products(rows, rows), row_marks(rows).cpu().numpy()

    def _on_device(self, nodes: NDArray[np.int64]) -> Float[Tensor, "N F"]:
        """Scaled rows."""
        out = torch.empty(len(nodes), self.width, dtype=torch.float64, device=self.device)
        for inside, x, own in self._split(nodes):
            out[torch.from_numpy(inside).to(self.device)] = x[torch.from_numpy(own).to(self.device)].double()
        return out.mul_(2.0**-self.exponent)

    @staticmethod
    def _place(parts: Mapping[str, Features]) -> torch.device:
        return torch.device(next(iter(parts.values())).device)


def row_products(a: Float[Tensor, "P F"], b: Float[Tensor, "P F"]) -> NDArray[np.float64]:
    """Row n times row n, the same bits whatever stands around it: halves are added, entry by entry, until one is left.

    A device's own sum may split a row in another way where there are more rows, or where they begin elsewhere.
    """
    products = a * b
    while products.size(1) > 1:
        half = products.size(1) // 2
        folded = products[:, :half] + products[:, half : 2 * half]
        if products.size(1) % 2:
            folded[:, 0] += products[:, -1]
        products = folded
    return np.asarray(products[:, 0].cpu().numpy())
