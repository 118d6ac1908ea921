"""Behaviour-modal alignment beside the model of a run, as data (Table 4)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drepm_pyg.models import RecommenderModel, WithBMA
from drepm_pyg.nn.losses import BMALoss

__all__ = ["BMAOptions"]


@dataclass(frozen=True)
class BMAOptions:
    """What :class:`~drepm_pyg.models.WithBMA` adds to the loss of a model; with all weights 0, nothing.

    Attributes:
        alpha: weight of the intra-alignment.
        beta: weight of the inter-alignment.
        gamma: weight of the similarity-supervised signal.
        temperature: of every InfoNCE.
        weights: weight of each modality in the target of the signal; None: as :class:`~drepm_pyg.nn.ModalEncoder`.
        mask_false_negatives: leave training pairs of a user out of its negatives in the intra-alignment.

    Example:
        >>> BMAOptions().used, BMAOptions(alpha=0.01).used
        (False, True)
    """

    alpha: float = 0.0
    beta: float = 0.0
    gamma: float = 0.0
    temperature: float = 0.2
    weights: dict[str, float] | None = None
    mask_false_negatives: bool = False

    @property
    def used(self) -> bool:
        """Whether any weight is not 0."""
        return bool(self.alpha or self.beta or self.gamma)

    def to_config(self) -> dict[str, Any]:
        """Plain data, without what is not given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def wrap(self, model: RecommenderModel) -> RecommenderModel:
        """The model with alignment, or the model itself where none is asked for."""
        if not self.used:
            return model
        loss = BMALoss(self.alpha, self.beta, self.gamma, temperature=self.temperature)
        return WithBMA(model, loss, weights=self.weights, mask_false_negatives=self.mask_false_negatives)

    def init_args(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """What ``from_data`` needs to build it again; ``model``: ``class_path`` and ``init_args`` of the inner one."""
        return {"model": dict(model), **self.to_config()} if self.used else dict(model["init_args"])
