"""What decides how a model is trained."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The arguments of :func:`drepm_pyg.training.fit`, checked already, that must not change while a run goes on.

    NumPy's numbers become Python's, which alone can be written to files.

    Attributes:
        batch_size: triples per step.
        lr: learning rate of Adam.
        lr_decay: factor per 50 epochs, applied each epoch as ``lr_decay ** (epoch / 50)``; 1 keeps it constant.
        patience: epochs without a strictly larger ``monitor`` before training stops.
        monitor: the validation metric that decides.
        validate_every: epochs from one validation to the next; the last epoch is always validated.
        seed: of triples, graphs that a model redraws, and dropout.
        ks: cut-offs of the metrics.
        metrics: names of the metrics.
        track_lines: whether the lines of the model are ranked alone at every validation.
    """

    batch_size: int
    lr: float
    lr_decay: float
    patience: int
    monitor: str
    validate_every: int
    seed: int
    ks: Sequence[int]
    metrics: Sequence[str]
    track_lines: bool

    def __post_init__(self) -> None:
        for name in ("batch_size", "patience", "validate_every", "seed"):
            object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("lr", "lr_decay"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "ks", tuple(map(int, self.ks)))
        object.__setattr__(self, "metrics", tuple(self.metrics))

    def plain(self) -> dict[str, Any]:
        """All of them by name, as a file gives them back: a tuple is a list there."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
