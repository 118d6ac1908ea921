"""A model in training, as fit trains it: batches, loss, gradients, update."""

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM
from drepm_pyg.models import RecommenderModel
from drepm_pyg.training import EpochTriples


class Step:
    """One training step on one batch: loss, gradients, and an update by Adam in one fused pass.

    Args:
        model: the model, which is put into training mode.
        data: what it trains on.
        triples: where the batch comes from: the first one of epoch 0.
    """

    def __init__(self, model: RecommenderModel, data: HeteroData, triples: EpochTriples) -> None:
        self.model, self.data, self.triples = model.train(), data, triples
        self.batch = next(iter(triples.epoch(0)))
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        model.before_epoch(data, torch.Generator(data[USER_ITEM].edge_index.device).manual_seed(0))

    def loss(self) -> torch.Tensor:
        """The loss of the batch."""
        return self.model.loss(self.data, self.batch).total

    def update(self, loss: torch.Tensor) -> None:
        """The gradients of ``loss``, and what Adam makes of them."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def __call__(self) -> None:
        self.update(self.loss())
