"""The Lightning module around a model: one step, one validation an epoch, one row of metrics."""

import copy
import time
from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import torch
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation import evaluate
from drepm_pyg.models import RecommenderModel, Representations, Triples
from drepm_pyg.training.metrics_file import MetricsFile
from drepm_pyg.training.triples import EpochTriples, epoch_generator

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
    """Adam on the model's loss; full-ranking validation after every epoch.

    Args:
        model: the model to train.
        data: the schema's HeteroData.
        batch_size: triples per batch.
        lr: learning rate of Adam.
        lr_decay: factor per 50 epochs, applied each epoch as ``lr_decay ** (epoch / 50)``; 1 keeps it constant.
        seed: of the triples.
        ks: cut-offs of the validation metrics.
        metrics: names of the validation metrics.
        track_lines: also rank the behaviour and the modal line alone, and measure the cosine distance between them.
        record: where the row of each epoch goes.
    """

    def __init__(
        self,
        model: RecommenderModel,
        data: HeteroData,
        *,
        batch_size: int,
        lr: float,
        lr_decay: float,
        seed: int,
        ks: Sequence[int],
        metrics: Sequence[str],
        track_lines: bool,
        record: MetricsFile,
    ) -> None:
        super().__init__()
        self.model, self.data = model, data
        self.batch_size, self.lr, self.lr_decay, self.seed = batch_size, lr, lr_decay, seed
        self.ks, self.metric_names, self.track_lines, self.record = tuple(ks), tuple(metrics), track_lines, record
        self.triples = EpochTriples(data, batch_size=batch_size, seed=seed)
        self._sums: dict[str, torch.Tensor] = {}
        self._started = 0.0

    def on_fit_start(self) -> None:
        """Bring the data to the trainer's device, in a copy: the caller's stays where it is."""
        if self.device.type != "cpu":
            self.data = copy.copy(self.data).to(self.device)
            self.triples = EpochTriples(self.data, batch_size=self.batch_size, seed=self.seed)

    def on_train_start(self) -> None:
        """Go on with the rows of the epochs that are done."""
        self.record.start(self.current_epoch)

    def train_dataloader(self) -> _CurrentEpoch:
        """The batches of the current epoch."""
        return _CurrentEpoch(self)

    def on_train_epoch_start(self) -> None:
        """Let the model redraw its graphs."""
        self._started, self._sums = time.perf_counter(), {}
        # A stream of its own: what a model draws must not depend on how many triples were drawn before.
        self.model.before_epoch(self.data, epoch_generator(self.seed + 1, self.current_epoch, self.device))

    def training_step(self, batch: Triples, batch_idx: int) -> torch.Tensor:
        """The loss of a batch; its parts are summed on the device, so that no step waits for the host."""
        output = self.model.loss(self.data, batch)
        for name, part in {"total": output.total, **output.parts}.items():
            part = part.detach() * len(batch)
            self._sums[name] = self._sums[name] + part if name in self._sums else part
        return output.total

    def on_train_epoch_end(self) -> None:
        """Validate, and write down the epoch's row."""
        pairs = self.triples.edge_index.size(1)
        row = {f"train/{name}": float(total) / pairs for name, total in self._sums.items()}
        broken = sorted(name for name, value in row.items() if value != value or abs(value) == float("inf"))
        if broken:
            raise FloatingPointError(
                f"The loss is not finite in epoch {self.current_epoch} ({', '.join(broken)}). Lower 'lr' or the weight "
                "of that part, or check the features with drepm_pyg.data.validate."
            )
        row["train/seconds"] = time.perf_counter() - self._started
        row |= self.validate()
        row["seconds"] = time.perf_counter() - self._started
        # Before any checkpoint of this epoch is written: what is resumed from has its row.
        self.record.append({"epoch": self.current_epoch, **row})
        shown = {name: value for name, value in row.items() if name.startswith("train/") and name != "train/seconds"}
        listening = bool(self.trainer.loggers)
        self.log_dict(shown, prog_bar=True, logger=listening)
        self.log_dict({name: value for name, value in row.items() if name not in shown}, logger=listening)
        last = f"val/{self.metric_names[0]}@{max(self.ks)}"
        if last in row:
            self.log("val", row[last], prog_bar=True, logger=False)

    def validate(self) -> dict[str, float]:
        """Metrics on the validation pairs, of the lines alone too if they are tracked."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            tables: Any = self.model(self.data) if self.model.factorized else self.model
        self.model.train(training)
        metrics = {f"val/{name}": value for name, value in self._rank(tables).items()}
        if self.track_lines and isinstance(tables, Representations):
            for line in ("behavior", "modal"):
                part: Representations | None = getattr(tables, line)
                if part is not None:
                    metrics |= {f"val/{line}/{name}": value for name, value in self._rank(part).items()}
            metrics |= _cosine_distance(tables)
        return metrics

    def _rank(self, tables: Any) -> dict[str, float]:
        return evaluate(tables, self.data, split="val", ks=self.ks, metrics=self.metric_names)

    def configure_optimizers(self) -> Any:
        """Adam in one fused pass over the tables; the decay as a factor per epoch."""
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr, fused=True)
        if self.lr_decay == 1:
            return optimizer
        decay = self.lr_decay
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: decay ** (epoch / 50))
        return [optimizer], [schedule]


def _cosine_distance(tables: Representations) -> dict[str, float]:
    """One minus the cosine of a node's two representations, averaged over users and over items (Figure 6)."""
    behavior, modal = tables.behavior, tables.modal
    if behavior is None or modal is None or behavior.user.size(1) != modal.user.size(1):
        return {}
    pairs = {"user": (behavior.user, modal.user), "item": (behavior.item, modal.item)}
    return {f"val/cosine_distance_{node}": 1 - float(F.cosine_similarity(*pair).mean()) for node, pair in pairs.items()}
