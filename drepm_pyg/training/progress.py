"""The progress of a run on stderr: a bar on a terminal, a line per epoch elsewhere."""

import math
from typing import Any

import lightning
from lightning.pytorch.callbacks import EarlyStopping
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from drepm_pyg.training.module import RecommenderModule

__all__ = ["RunProgress"]


class RunProgress(lightning.Callback):
    """Steps of the epoch, the parts of the last epoch's loss, the last validation beside the best.

    Args:
        stopping: the early stopping, which knows the metric, the best value and how long it has waited.
    """

    def __init__(self, stopping: EarlyStopping) -> None:
        self.stopping = stopping
        self.console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[news]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.news = ""
        self.task = self.bar.add_task("training", epoch=0, news=self.news)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the bar."""
        self.bar.start()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell of the epoch before, now that it is validated; then from the first step again."""
        self._tell(pl_module)
        steps = trainer.num_training_batches
        # It forgets what is not said.
        self.bar.reset(self.task, total=steps, epoch=trainer.current_epoch, news=self.news)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step further; nothing is read from the device."""
        self.bar.advance(self.task)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take the bar away."""
        self._tell(pl_module)
        self.bar.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away, so that the message stands alone."""
        self.bar.stop()

    def _tell(self, module: lightning.LightningModule) -> None:
        if not isinstance(module, RecommenderModule) or "seconds" not in module.row:
            return  # before the first epoch
        row, monitor = module.row, self.stopping.monitor
        losses = [name for name in row if name.startswith("train/") and name != "train/seconds"]
        parts = [f"{name.removeprefix('train/')} {row[name]:.4f}" for name in losses]
        seen = [f"{monitor} {row[monitor]:.4f}"] if monitor in row else []
        best = float(self.stopping.best_score)
        if math.isfinite(best):  # not before the first validation
            seen.append(f"(best {best:.4f}, {self.stopping.wait_count}/{self.stopping.patience})")
        self.news = "  ".join([*parts, " ".join(seen)]).rstrip()
        if not self.console.is_terminal:
            self.console.print(f"epoch {row['epoch']:.0f}  {self.news}  {row['seconds']:.1f} s", soft_wrap=True)
