"""Watch the two gradients while a run trains."""

from pathlib import Path

import lightning
import numpy as np

from drepm_pyg.experiments.reproduction.gradient_conflict import gradient_conflict
from drepm_pyg.experiments.reproduction.gradients_file import BINS, GRADIENTS
from drepm_pyg.training import EpochTriples
from drepm_pyg.training.metrics_file import MetricsFile
from drepm_pyg.training.module import RecommenderModule

__all__ = ["GradientMonitor"]


class GradientMonitor(lightning.Callback):
    """Write a row per epoch: the cosine of the whole tables, the share of nodes in conflict, and a histogram of theirs.

    The losses run over all triples of the epoch at once, at the weights with which it ends. Pass it as
    ``fit(..., trainer={"callbacks": [GradientMonitor(folder)]})``; a resumed run goes on with the file.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.record = MetricsFile(folder / GRADIENTS)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the rows of the epochs that are done."""
        self.record.start(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure, before the epoch's checkpoint is written."""
        assert isinstance(pl_module, RecommenderModule)
        epoch, triples = trainer.current_epoch, pl_module.triples
        pairs = triples.edge_index.size(1)
        # The triples of the epoch, in one batch.
        (batch,) = EpochTriples(pl_module.data, batch_size=pairs, seed=triples.seed).epoch(epoch)
        row: dict[str, float] = {"epoch": epoch}
        for node, found in gradient_conflict(pl_module.model, pl_module.data, batch).items():
            counts, _ = np.histogram(found.rows.cpu().numpy(), bins=BINS, range=(-1, 1))
            row |= {
                f"{node}/cosine": found.overall,
                f"{node}/shared": found.shared,
                f"{node}/nodes": len(found.rows),
                f"{node}/opposed": float((found.rows < 0).double().mean()) if len(found.rows) else float("nan"),
                **{f"{node}/bin{place}": int(count) for place, count in enumerate(counts)},
            }
        self.record.append(row)
