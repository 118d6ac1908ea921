"""The numbers of every epoch, for a function that may end the run."""

from collections.abc import Callable, Mapping

import lightning
from lightning.pytorch.callbacks import Checkpoint

from drepm_pyg.training.module import RecommenderModule

__all__ = ["EpochReport"]


class EpochReport(Checkpoint):
    """Hand each epoch's row of ``metrics.csv`` to a function, once everything of that epoch is on disk.

    What the function raises ends the run without a result, as a kill would: the run can be gone on with. That is how a
    search prunes a trial. Pass it as ``fit(..., trainer={"callbacks": [EpochReport(report)]})``.

    It is a Checkpoint because Lightning calls those last: after validation, and after the run's own checkpoint.

    Args:
        report: takes the row: ``"epoch"``, the parts of the loss, and the validation metrics where the epoch has them.
    """

    def __init__(self, report: Callable[[Mapping[str, float]], None]) -> None:
        self.report = report

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Report the epoch that is done."""
        assert isinstance(pl_module, RecommenderModule)
        self.report(pl_module.row)
