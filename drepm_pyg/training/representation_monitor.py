"""What the two lines of a model are worth apart, epoch by epoch (Figures 5 and 6)."""

import lightning
import torch

from drepm_pyg.evaluation import evaluate
from drepm_pyg.models import Representations
from drepm_pyg.nn.functional.rows import row_cosines
from drepm_pyg.training.module import RecommenderModule

__all__ = ["RepresentationMonitor"]


class RepresentationMonitor(lightning.Callback):
    """Rank by the behaviour and by the modal line alone, and measure how far apart they are, at every validation.

    It adds ``val/behavior/<metric>``, ``val/modal/<metric>``, ``val/cosine_distance_user`` and
    ``val/cosine_distance_item`` to the run's ``metrics.csv``; a line that the model does not have adds nothing.
    ``fit(..., track_lines=True)`` sets it up.
    """

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure, on the tables that validation is about to rank by."""
        if not isinstance(pl_module, RecommenderModule) or not pl_module.validates:
            return
        tables = pl_module.ranked()
        if not isinstance(tables, Representations):
            return
        ks, metrics = pl_module.settings.ks, pl_module.settings.metrics
        for name, line in tables.lines().items():
            if name != "general":  # which validation itself ranks by
                values = evaluate(line, pl_module.data, split="val", ks=ks, metrics=metrics)
                pl_module.row |= {f"val/{name}/{metric}": value for metric, value in values.items()}
        pl_module.row |= cosine_distances(tables)


@torch.no_grad()
def cosine_distances(tables: Representations) -> dict[str, float]:
    """One minus the cosine of a node's two representations, averaged over users and over items (Figure 6)."""
    behavior, modal = tables.behavior, tables.modal
    if behavior is None or modal is None or behavior.user.size(1) != modal.user.size(1):
        return {}
    pairs = {"user": (behavior.user, modal.user), "item": (behavior.item, modal.item)}
    return {f"val/cosine_distance_{node}": 1 - float(row_cosines(*pair).mean()) for node, pair in pairs.items()}
