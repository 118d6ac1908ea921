"""The Lightning module around a model: one step, one validation an epoch, one row of numbers."""

import copy
import math
import time
from collections.abc import Iterator
from typing import Any

import lightning
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation import evaluate
from drepm_pyg.evaluation.scoring import ranked_by
from drepm_pyg.models import LossOutput, RecommenderModel, Triples
from drepm_pyg.training.settings import Settings
from drepm_pyg.training.triples import EpochTriples, epoch_generator
from drepm_pyg.typing import Tensor

__all__ = ["RecommenderModule"]


class _CurrentEpoch:
    """What Lightning iterates over: the batches of the epoch that the trainer is in."""

    def __init__(self, module: "RecommenderModule") -> None:
        self.module = module

    def __len__(self) -> int:
        return len(self.module.triples)

    def __iter__(self) -> Iterator[Triples]:
        # A generator: Lightning asks for the iterator of a resumed run before it has restored the epoch.
        yield from self.module.triples.epoch(self.module.current_epoch)


class RecommenderModule(lightning.LightningModule):
    """Adam on the model's loss; full-ranking validation at the end of an epoch.

    Args:
        model: the model to train.
        data: the schema's HeteroData.
        settings: of the triples, of Adam and of the validations.
        compiler: what compiles the loss, see :func:`drepm_pyg.training.fit`.

    Attributes:
        row: the numbers of the epoch that ends; callbacks may add theirs in ``on_train_epoch_end``.
    """

    def __init__(
        self,
        model: RecommenderModel,
        data: HeteroData,
        settings: Settings,
        *,
        compiler: bool | str = False,
    ) -> None:
        super().__init__()
        self.model, self.data, self.settings = model, data, settings
        self.triples = EpochTriples(data, batch_size=settings.batch_size, seed=settings.seed)
        self.row: dict[str, float] = {}
        self._compiler = compiler
        self._loss = model.loss
        self._sums: dict[str, Tensor] = {}
        self._seen = 0
        self._ranked: Any = None
        self._started = 0.0

    def on_fit_start(self) -> None:
        """Bring the data to the trainer's device, in a copy: the caller's stays where it is."""
        if self.device.type != "cpu":
            self.data = copy.copy(self.data).to(self.device)
            self.triples = EpochTriples(self.data, batch_size=self.settings.batch_size, seed=self.settings.seed)
        if isinstance(self._compiler, str):
            self._loss = torch.compile(self.model.loss, backend=self._compiler)
        elif self._compiler:
            # A step of many small kernels waits for their launches: CUDA graphs replay them in one.
            mode = "reduce-overhead" if self.device.type == "cuda" else "default"
            self._loss = torch.compile(self.model.loss, mode=mode)

    def train_dataloader(self) -> _CurrentEpoch:
        """The batches of the current epoch."""
        return _CurrentEpoch(self)

    def transfer_batch_to_device(self, batch: Triples, device: torch.device, dataloader_idx: int) -> Triples:
        """Nothing to move: triples are drawn where the data is."""
        return batch

    def on_train_epoch_start(self) -> None:
        """Let the model redraw its graphs."""
        self._started, self._sums, self._seen, self._ranked = time.perf_counter(), {}, 0, None
        self.row = {"epoch": self.current_epoch}
        # Another stream than that of this run's triples: what a model draws must not depend on how many were drawn.
        generator = epoch_generator(self.settings.seed + 1, self.current_epoch, self.device)
        self.model.before_epoch(self.data, generator)

    def training_step(self, batch: Triples, batch_idx: int) -> Tensor:
        """The loss of a batch; its parts are summed on the device, so that no step waits for the host.

        Raises:
            TypeError: where the model's loss is no LossOutput of tensors.
            ValueError: where its total does not depend on the weights.
        """
        output = self._loss(self.data, batch)
        _check_loss(output, f"{type(self.model).__name__}.loss")
        self._seen += len(batch)
        for name, part in {"total": output.total, **output.parts}.items():
            part = part.detach() * len(batch)
            self._sums[name] = self._sums[name] + part if name in self._sums else part
        return output.total

    @property
    def validates(self) -> bool:
        """Whether the current epoch ends with a validation."""
        done = self.current_epoch + 1
        last = done == self.trainer.max_epochs or 0 < self.trainer.max_steps <= self.trainer.global_step
        return last or self.in_turn

    @property
    def in_turn(self) -> bool:
        """Whether it would, were it not the last one."""
        return (self.current_epoch + 1) % self.settings.validate_every == 0

    def ranked(self) -> Any:
        """What ranks the items when the epoch ends: its tables, made once for all who ask, or the model if it has none.

        Raises:
            FloatingPointError: where the loss was not finite, before anything is ranked by such weights.
        """
        self._close_training()
        if self._ranked is None:
            self._ranked = ranked_by(self.model, self.data)
        return self._ranked

    def on_train_epoch_end(self) -> None:
        """Validate, and hand the row on to Lightning; it comes after the callbacks' hook of the same name."""
        self._close_training()
        if self.validates:
            ks, metrics = self.settings.ks, self.settings.metrics
            values = evaluate(self.ranked(), self.data, split="val", ks=ks, metrics=metrics)
            self.row |= {f"val/{name}": value for name, value in values.items()}
        self.row["seconds"] = time.perf_counter() - self._started
        numbers = {name: value for name, value in self.row.items() if name != "epoch"}  # which Lightning adds itself
        self.log_dict(numbers, logger=bool(self.trainer.loggers))

    def _close_training(self) -> None:
        """The means over the epoch's triples, once: the first time in an epoch that the host waits for the device."""
        if "train/seconds" in self.row:
            return
        # Not over all pairs: the trainer may have been told to take some of the batches.
        parts = {f"train/{name}": float(total) / self._seen for name, total in self._sums.items()}
        broken = sorted(name for name, value in parts.items() if not math.isfinite(value))
        if broken:
            raise FloatingPointError(
                f"The loss is not finite in epoch {self.current_epoch} ({', '.join(broken)}). Lower 'lr' or the weight "
                "of that part, or check the features with drepm_pyg.data.validate."
            )
        self.row |= {**parts, "train/seconds": time.perf_counter() - self._started}

    def configure_optimizers(self) -> Any:
        """Adam in one fused pass over the tables; the decay as a factor per epoch."""
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.settings.lr, fused=True)
        decay = self.settings.lr_decay
        if decay == 1:
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: decay ** (epoch / 50))
        return [optimizer], [schedule]


def _check_loss(output: Any, name: str) -> None:
    if not isinstance(output, LossOutput):
        raise TypeError(
            f"'{name}' must return a LossOutput (got a {type(output).__name__}). Name its parts: "
            "LossOutput.from_parts(bpr=...)."
        )
    wrong = [part for part, value in {"total": output.total, **output.parts}.items() if not isinstance(value, Tensor)]
    if wrong:
        raise TypeError(f"'{name}' must return tensors in its LossOutput ({wrong} are none). Leave out .item().")
    if not output.total.requires_grad:
        raise ValueError(
            f"'{name}' must return a total that depends on weights which are trained (this one has no gradient). Was "
            "it detached, or made under torch.no_grad()?"
        )
