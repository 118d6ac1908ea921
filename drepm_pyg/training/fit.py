"""Train a model: Adam, early stopping on validation, a run folder that survives a kill."""

import logging
import resource
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_positive
from drepm_pyg.data import USER_ITEM
from drepm_pyg.evaluation import evaluate
from drepm_pyg.models import RecommenderModel
from drepm_pyg.training import run
from drepm_pyg.training.generator_state import GeneratorState
from drepm_pyg.training.metrics_file import MetricsFile, read_metrics
from drepm_pyg.training.module import RecommenderModule

__all__ = ["FitResult", "fit"]


@dataclass(frozen=True)
class FitResult:
    """What a run gave.

    Attributes:
        model: the model with the weights of its best epoch.
        metrics: such as ``"val/recall@20"`` and ``"test/recall@20"``, of the best epoch.
        epoch: the best epoch, counted from 0; -1 for a model without training.
        path: the run's folder.
        epochs: number of epochs trained.
        seconds: of the whole run.
        seconds_per_epoch: of training alone, without validation.
        peak_memory: largest resident size of the process so far, in bytes.
    """

    model: RecommenderModel
    metrics: dict[str, float]
    epoch: int
    path: Path
    epochs: int = 0
    seconds: float = 0.0
    seconds_per_epoch: float = 0.0
    peak_memory: int = field(default=0, repr=False)


def fit(
    model: RecommenderModel,
    data: HeteroData,
    *,
    max_epochs: int = 1000,
    batch_size: int = 2048,
    lr: float = 1e-3,
    lr_decay: float = 1.0,
    patience: int = 20,
    monitor: str = "val/recall@20",
    seed: int = 0,
    root: str | Path = "runs",
    name: str | None = None,
    resume: bool = False,
    ks: Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg"),
    track_lines: bool = False,
    init_args: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    progress: bool = True,
    trainer: Mapping[str, Any] | None = None,
) -> FitResult:
    """Train ``model`` on the training pairs of ``data`` until the validation metric stops growing.

    Triples and dropout depend on ``seed`` alone; the weights are those that ``model`` comes with. After every epoch a
    checkpoint is written, the generators included: a run that was killed goes on with ``resume=True`` and ends
    bit-equal to one that was not (on a CPU). The weights of the best epoch are loaded into ``model`` at the end.

    Args:
        model: the model; one without training is only evaluated.
        data: the schema's HeteroData with validation pairs; test pairs are ranked at the end where there are any.
        max_epochs: epochs at most.
        batch_size: triples per step.
        lr: learning rate of Adam.
        lr_decay: factor per 50 epochs (applied each epoch as ``lr_decay ** (epoch / 50)``).
        patience: epochs without a strictly larger ``monitor`` before training stops.
        monitor: the validation metric that decides, such as ``"val/recall@20"``.
        seed: of triples, graphs that a model redraws, and dropout.
        root: where run folders stand.
        name: of the run's folder; None: the model's name and the seed.
        resume: go on from the last finished epoch of ``root/name`` where there is one.
        ks: cut-offs of the metrics.
        metrics: names of the metrics.
        track_lines: record the behaviour and the modal line alone, and their cosine distance, at every epoch.
        init_args: what ``from_data`` was given, kept so that :func:`drepm_pyg.training.load_run` can build the model.
        config: written to ``config.yaml`` as it is; None: the arguments of this call.
        progress: a progress bar on stderr.
        trainer: further arguments of :class:`lightning.Trainer`, such as ``{"precision": "bf16-mixed"}``.

    Returns:
        the best weights, the metrics, and where everything stands.

    Raises:
        ValueError: where there are no training or validation pairs, or the folder holds a run and ``resume`` is False.
        FloatingPointError: where a part of the loss becomes NaN or infinite.
    """
    check_at_least(1, max_epochs=max_epochs, batch_size=batch_size, patience=patience)
    check_positive(lr=lr, lr_decay=lr_decay)
    known = [f"val/{metric}@{k}" for k in ks for metric in metrics]
    if monitor not in known:
        raise ValueError(f"'monitor' must be one of {known} (got {monitor!r}). Add it through 'ks' and 'metrics'.")
    _check_pairs(data, "val_edge_label_index", "validation")
    folder = Path(root) / (name or f"{type(model).__name__.lower()}-seed{seed}")
    last = folder / run.CHECKPOINTS / "last.ckpt"
    if not resume and (folder / run.METRICS).exists():
        raise ValueError(f"'{folder}' holds a run already. Go on with resume=True, or choose another 'name'.")
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "lr": lr,
        "lr_decay": lr_decay,
        "patience": patience,
        "monitor": monitor,
        "seed": seed,
    }
    run.write_config(folder, config or {"model": type(model).__name__, "init_args": dict(init_args or {}), **settings})

    started, best_epoch, epochs, per_epoch = time.perf_counter(), -1, 0, 0.0
    if model.trainable:
        torch.manual_seed(seed)
        record = MetricsFile(folder / run.METRICS)
        module = RecommenderModule(
            model,
            data,
            batch_size=batch_size,
            lr=lr,
            lr_decay=lr_decay,
            seed=seed,
            ks=ks,
            metrics=metrics,
            track_lines=track_lines,
            record=record,
        )
        best = _train(
            module,
            folder,
            max_epochs,
            patience,
            monitor,
            last if resume and last.exists() else None,
            progress,
            trainer or {},
        )
        rows = read_metrics(folder / run.METRICS)
        best_epoch, epochs = best, len(rows)
        per_epoch = sum(float(row["train/seconds"]) for row in rows) / len(rows)

    results = {f"val/{key}": value for key, value in evaluate(model, data, split="val", ks=ks, metrics=metrics).items()}
    test = data[USER_ITEM].get("test_edge_label_index")
    if test is not None and test.size(1) > 0:
        results |= {f"test/{key}": value for key, value in evaluate(model, data, ks=ks, metrics=metrics).items()}
    run.write_weights(folder, model)
    result = FitResult(
        model,
        results,
        best_epoch,
        folder,
        epochs,
        time.perf_counter() - started,
        per_epoch,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )
    run.write_result(
        folder,
        {
            "model": type(model).__name__,
            "init_args": None if init_args is None else dict(init_args),
            "metrics": results,
            "best_epoch": best_epoch,
            "epochs": epochs,
            "seconds": result.seconds,
            "seconds_per_epoch": per_epoch,
            "peak_memory": result.peak_memory,
            "num_parameters": sum(p.numel() for p in model.parameters()),
            "seed": seed,
            "settings": settings,
            "fingerprint": run.fingerprint(data),
            "versions": run.versions(),
        },
    )
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning without its tips and without warnings about what is meant so here."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")  # batches are ready tensors
        warnings.filterwarnings("ignore", ".*exists and is not empty.*")  # a resumed run
        warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")  # Lightning 2.6 under torch 2.13
        log.setLevel(logging.WARNING)
        try:
            yield
        finally:
            log.setLevel(level)


def _check_pairs(data: HeteroData, attribute: str, what: str) -> None:
    pairs = data[USER_ITEM].get(attribute)
    if pairs is None or pairs.size(1) == 0:
        raise ValueError(f"'data' must have {what} pairs in {list(USER_ITEM)}.{attribute} (got none). Split it first.")


def _train(
    module: RecommenderModule,
    folder: Path,
    max_epochs: int,
    patience: int,
    monitor: str,
    checkpoint: Path | None,
    progress: bool,
    options: Mapping[str, Any],
) -> int:
    """Run Lightning's loop, load the best weights into the model, return the best epoch."""
    keep: dict[str, Any] = {
        "dirpath": folder / run.CHECKPOINTS,
        "save_on_train_epoch_end": True,
        "enable_version_counter": False,
    }
    best = ModelCheckpoint(filename="best", monitor=monitor, mode="max", save_top_k=1, save_weights_only=True, **keep)
    callbacks: list[lightning.Callback] = [
        GeneratorState(),
        EarlyStopping(monitor, patience=patience, mode="max", min_delta=0.0, check_on_train_epoch_end=True),
        best,
        ModelCheckpoint(filename="last", every_n_epochs=1, save_top_k=1, **keep),
    ]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    defaults: dict[str, Any] = {
        "accelerator": "auto",
        "devices": 1,
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
    }
    given = {**defaults, **options}
    given["callbacks"] = [*callbacks, *given.get("callbacks", [])]
    with _quiet():
        loop = lightning.Trainer(max_epochs=max_epochs, default_root_dir=folder, enable_progress_bar=progress, **given)
        try:
            loop.fit(module, ckpt_path=checkpoint)
        except SystemExit as stop:  # how Lightning ends after Ctrl-C
            raise KeyboardInterrupt(f"Stopped; '{folder}' goes on with resume=True.") from stop
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    return int(state["epoch"])
