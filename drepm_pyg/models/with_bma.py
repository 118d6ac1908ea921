"""WithBMA: behaviour-modal alignment as a plug-in for any model with a behaviour and a modal line (Table 4)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models.alignment import BehaviorModalAlignment
from drepm_pyg.models.base import LossOutput, RecommenderModel, Representations, Triples
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["WithBMA"]


class WithBMA(RecommenderModel):
    r"""A model trained with behaviour-modal alignment beside its own loss; it ranks as the model does.

    "DRepMRec: A Dual Representation Learning Framework for Multimodal Recommendation", Section 4.7.1 and Table 4,
    https://arxiv.org/abs/2404.11119v1

    .. math::
        \mathcal{L} = \mathcal{L}_{model} + \alpha \mathcal{L}_{Intra} + \beta \mathcal{L}_{Inter}
        + \gamma \mathcal{L}_{SSS}

    The model's own hyper-parameters stay as they are. Intra-alignment alone (the paper's choice for MGCN, which
    aligns the lines by itself) is ``BMALoss(alpha, 0, 0)``. With all weights 0 the loss and its gradients are bit-equal
    to the model's.

    Args:
        model: any model whose ``forward`` gives behaviour and modal representations and whose ``loss`` calls it.
        bma: the loss to add, with its weights.
        weights: weight of each modality in the target of SSS; None: all modalities of the data, weighted as by
            :class:`drepm_pyg.nn.ModalEncoder`.
        mask_false_negatives: leave training pairs of a user out of its negatives in the intra-alignment.

    Raises:
        TypeError: where ``model`` is no :class:`RecommenderModel`, or ``bma`` no
            :class:`~drepm_pyg.nn.losses.BMALoss`.
        ValueError: where ``model`` is not trained; at the first loss with a weight above 0, where its representations
            lack one of the lines.
    """

    def __init__(
        self,
        model: RecommenderModel,
        bma: BMALoss,
        *,
        weights: Mapping[str, float] | None = None,
        mask_false_negatives: bool = False,
    ) -> None:
        if isinstance(model, type) and issubclass(model, RecommenderModel):
            raise TypeError(
                f"'model' must be built (got the class {model.__name__}). Pass {model.__name__}.from_data(data)."
            )
        if not isinstance(model, RecommenderModel):
            raise TypeError(
                f"'model' must be a RecommenderModel (got {type(model).__name__}). Add a BMALoss to the loss of your "
                "own module, or subclass RecommenderModel."
            )
        if not model.trainable:
            raise ValueError(f"'model' must be a model with a training loss (got {type(model).__name__}).")
        super().__init__(model.num_users, model.num_items)
        self.factorized, self.graph_nodes = model.factorized, model.graph_nodes
        self.model = model
        self.alignment = BehaviorModalAlignment(bma, weights=weights, mask_false_negatives=mask_false_negatives)

    @classmethod
    def from_data(cls, data: HeteroData, **hyper_parameters: Any) -> "WithBMA":
        """Build the inner model from ``data``, too: how a run folder keeps a model with alignment.

        Args:
            data: the schema's HeteroData.
            hyper_parameters: ``model``, ``{"class_path": ..., "init_args": {...}}`` of the inner model, the class
                by its name; ``weights`` and ``mask_false_negatives`` as in the constructor; the rest are arguments of
                :class:`~drepm_pyg.nn.losses.BMALoss`.

        Raises:
            ValueError: without ``model``.
        """
        from drepm_pyg.models import get_model  # which knows this class

        if "model" not in hyper_parameters:
            raise ValueError(f"WithBMA.from_data needs the inner 'model' (got {sorted(hyper_parameters)}).")
        bma = dict(hyper_parameters)
        model, weights = bma.pop("model"), bma.pop("weights", None)
        mask_false_negatives = bma.pop("mask_false_negatives", False)
        inner = get_model(model["class_path"].rpartition(".")[2]).from_data(data, **model.get("init_args", {}))
        return cls(inner, BMALoss(**bma), weights=weights, mask_false_negatives=mask_false_negatives)

    def forward(self, data: HeteroData) -> Representations:
        return self.model(data)

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """The model's loss with its parts, plus ``bma_intra``, ``bma_inter`` and ``bma_sss``."""
        if self.alignment.is_off:  # no hook: the model may leave its tables out, as it does alone
            own = self.model.loss(data, batch)
            added = dict.fromkeys(("bma_intra", "bma_inter", "bma_sss"), own.total.new_zeros(()))
            return LossOutput(own.total, {**own.parts, **added})
        # The tables that the model's own loss was made from: no second propagation, and the same dropout.
        seen: list[Representations] = []
        with self.model.register_forward_hook(lambda _module, _args, tables: seen.append(tables)):
            own = self.model.loss(data, batch)
        tables = seen[0] if seen else self.model(data)
        added = {f"bma_{name}": part for name, part in self.alignment(tables, data, batch).items()}
        return LossOutput(sum(added.values(), start=own.total), {**own.parts, **added})

    def score(
        self, data: HeteroData, user: Int[Tensor, " B"], item: Int[Tensor, " C"] | None = None
    ) -> Float[Tensor, "B C"]:
        return self.model.score(data, user, item)

    def before_epoch(self, data: HeteroData, generator: torch.Generator) -> None:
        self.model.before_epoch(data, generator)
