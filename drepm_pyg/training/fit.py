"""Train a model: Adam, early stopping on validation, a run folder that survives a kill."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._arrays import kept_memory
from drepm_pyg._checks import check_at_least, check_choice, check_flag, check_positive, check_seed
from drepm_pyg.data.schema import SPLIT_INDEX, USER_ITEM, check_hetero_data, pair_counts
from drepm_pyg.evaluation import evaluate
from drepm_pyg.evaluation.evaluate import check_request
from drepm_pyg.models import RecommenderModel
from drepm_pyg.training import run
from drepm_pyg.training.arguments import all_arguments, built
from drepm_pyg.training.metrics_file import read_metrics
from drepm_pyg.training.settings import Settings
from drepm_pyg.training.trainer_options import check_trainer, plain_options

__all__ = ["FitResult", "check_options", "fit"]


@dataclass(frozen=True)
class FitResult:
    """What a run gave.

    Attributes:
        model: the model with the weights of its best epoch, in evaluation mode.
        metrics: such as ``"val/recall@20"`` and ``"test/recall@20"``, of the best epoch.
        epoch: the best epoch, counted from 0; -1 for a model without training.
        path: the run's folder.
        epochs: number of epochs trained.
        seconds: of all epochs, before an interruption, too, and of the final evaluation.
        seconds_per_epoch: of training alone, without validation.
        peak_memory: largest resident size of the process so far, in bytes; 0 where the system does not tell.
        peak_device_memory: most memory that torch has held on the CUDA device, in bytes; 0 without one.
    """

    model: RecommenderModel
    metrics: dict[str, float]
    epoch: int
    path: Path
    epochs: int = 0
    seconds: float = 0.0
    seconds_per_epoch: float = 0.0
    peak_memory: int = field(default=0, repr=False)
    peak_device_memory: int = field(default=0, repr=False)


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
    validate_every: int = 1,
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
    tensorboard: bool = False,
    compile: bool | str = False,
    trainer: Mapping[str, Any] | None = None,
) -> FitResult:
    """Train ``model`` on the training pairs of ``data`` until the validation metric stops growing.

    Triples and dropout depend on ``seed`` alone (torch's global generators are seeded with it); the weights are those
    that ``model`` comes with. A model in evaluation mode is put into training mode first. After every epoch a
    checkpoint is written, the generators included: a run that was killed goes on with ``resume=True`` and ends
    bit-equal to one that was not (on a CPU). The weights of the best epoch are loaded into ``model`` at the end.

    Args:
        model: the model; one without training is only evaluated.
        data: the schema's HeteroData with validation pairs; test pairs are ranked at the end where there are any.
        max_epochs: epochs at most.
        batch_size: triples per step; the last step of an epoch takes what is left.
        lr: learning rate of Adam.
        lr_decay: factor per 50 epochs (applied each epoch as ``lr_decay ** (epoch / 50)``).
        patience: epochs without a strictly larger ``monitor`` before training stops.
        monitor: the validation metric that decides, such as ``"val/recall@20"``.
        validate_every: epochs from one validation to the next; only a validated epoch can be the best.
        seed: of triples, graphs that a model redraws, and dropout.
        root: where run folders stand.
        name: of the run's folder; None: the model's name and the seed, numbered where that is taken.
        resume: go on from the last finished epoch of that folder (without ``name``: of the latest one) if there is one.
            Settings must be the same, up to ``max_epochs``, and the model built alike, as far as its ``repr``, the
            arguments it keeps and the shapes of its weights show; what ``compile`` and ``trainer`` say may change, and
            the last bits with it.
        ks: cut-offs of the metrics.
        metrics: names of the metrics.
        track_lines: record the behaviour and the modal line alone, and their cosine distance, at every validation.
        init_args: what ``from_data`` was given, kept so that :func:`drepm_pyg.training.load_run` can build the model.
        config: written to ``config.yaml`` as it is; None: the arguments of this call, for ``drepm fit --config`` and
            ``--data``.
        progress: a progress bar on stderr, or a line per epoch where stderr is no terminal.
        tensorboard: write the numbers of ``metrics.csv`` for TensorBoard, too.
        compile: compile the loss with ``torch.compile``, on a CUDA device into CUDA graphs; or the name of one of its
            backends. Results differ in the last bits.
        trainer: further arguments of :class:`lightning.Trainer`, such as ``{"precision": "bf16-mixed"}``; none that an
            argument of this function stands for, and no callback that averages weights.

    Returns:
        the best weights, the metrics, and where everything stands.

    Raises:
        ValueError: where there are no training or validation pairs, a cut-off exceeds the number of items, the folder
            ``name`` holds a run and ``resume`` is False, that run had other settings, other data or a model that was
            built otherwise, ``model`` has no weights to train or its loss no gradient, or ``trainer`` names what
            Lightning does not know or this function sets by itself, or ends the run before an epoch was validated.
        TypeError: where ``model`` is no :class:`~drepm_pyg.models.RecommenderModel` (one that ``torch.compile`` gave,
            say), its loss is no :class:`~drepm_pyg.models.LossOutput`, ``data`` are no HeteroData, ``ks`` or
            ``metrics`` are no list, ``trainer`` is no mapping or has callbacks that are none, or ``init_args`` are no
            plain data.
        FloatingPointError: where a part of the loss becomes NaN or infinite.
        KeyboardInterrupt: after Ctrl-C; the last finished epoch is kept.
    """
    given: dict[str, Any] = {
        "batch_size": batch_size,
        "lr": lr,
        "lr_decay": lr_decay,
        "patience": patience,
        "monitor": monitor,
        "validate_every": validate_every,
        "seed": seed,
        "ks": ks,
        "metrics": metrics,
        "track_lines": track_lines,
    }
    _check_call(model, data, given, max_epochs=max_epochs, compile=compile)
    check_flag(resume=resume, progress=progress, tensorboard=tensorboard)
    options = check_trainer(trainer)
    settings, init_args, fingerprint = Settings(**given), _plain(init_args), run.fingerprint(data)
    folder = run.open_folder(Path(root), name, f"{type(model).__name__.lower()}-seed{settings.seed}", resume=resume)
    task = _Task(model, data, settings, int(max_epochs), init_args, fingerprint, folder)
    if config is None:
        others = {"root": str(root), "name": name, "compile": compile, "trainer": plain_options(options)}
        config = _config_of(task, others)
    if not (folder / run.LAST).exists():
        run.write_config(folder, config)
    best_epoch = _train(task, progress=progress, tensorboard=tensorboard, compile=compile, options=options)
    run.write_config(folder, config)
    return _finish(task, best_epoch)


def check_options(
    data: HeteroData,
    *,
    max_epochs: int,
    batch_size: int,
    patience: int,
    monitor: str,
    validate_every: int,
    ks: Sequence[int],
    metrics: Sequence[str],
) -> None:
    """What :func:`fit` refuses whatever the model; who makes many runs asks once, before the first."""
    check_at_least(1, max_epochs=max_epochs, batch_size=batch_size, patience=patience, validate_every=validate_every)
    if patience < validate_every:
        raise ValueError(
            f"'patience' must be at least 'validate_every' (got {patience} and {validate_every}): it counts epochs."
        )
    check_request(ks, metrics, data["item"].num_nodes)
    for name, value in (("ks", ks), ("metrics", metrics)):
        if not value:
            raise ValueError(f"'{name}' must name at least one (got {value!r}).")
    check_choice([f"val/{metric}@{k}" for k in ks for metric in metrics], monitor=monitor)
    _check_pairs(data, "val")


@dataclass(frozen=True)
class _Task:
    """A call of ``fit`` that was found right, and the folder of its run."""

    model: RecommenderModel
    data: HeteroData
    settings: Settings
    max_epochs: int
    init_args: dict[str, Any] | None
    fingerprint: str
    folder: Path


def _config_of(task: _Task, others: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the call; of the ``others``, those that say something."""
    asked = {"max_epochs": task.max_epochs, **task.settings.plain()}
    asked |= {name: value for name, value in others.items() if value}
    return run.flat_config(task.model, task.init_args, asked)


def _train(task: _Task, *, progress: bool, tensorboard: bool, compile: bool | str, options: Mapping[str, Any]) -> int:
    """Train the model, load its best weights, and return their epoch; -1 where there is nothing to train."""
    model, settings = task.model, task.settings
    if not model.trainable:
        run.write_weights(task.folder, model)
        return -1
    # Lightning takes seconds to import: who only reads a run does not pay for it.
    from drepm_pyg.training.loop import train
    from drepm_pyg.training.module import RecommenderModule

    if not model.training:  # not always: parts of it may be frozen by eval() while it trains
        model.train()
    fixed = {
        "model": type(model).__name__,
        "init_args": all_arguments(model, task.init_args),
        **settings.plain(),
        "data": task.fingerprint,
    }
    torch.manual_seed(settings.seed)
    with kept_memory:
        best_epoch = train(
            RecommenderModule(model, task.data, settings, compiler=compile),
            task.folder,
            max_epochs=task.max_epochs,
            fixed=fixed,
            built=built(model),
            progress=progress,
            tensorboard=tensorboard,
            options=options,
        )
    run.read_weights(task.folder, model)
    return best_epoch


def _finish(task: _Task, best_epoch: int) -> FitResult:
    """Rank by the best weights, and write what came out."""
    model, data, settings = task.model.eval(), task.data, task.settings
    started = time.perf_counter()
    results: dict[str, float] = {}
    for split in ("val", "test"):
        if pair_counts(data).get(split):
            values = evaluate(model, data, split=split, ks=settings.ks, metrics=settings.metrics)
            results |= {f"{split}/{key}": value for key, value in values.items()}
    rows = read_metrics(task.folder / run.METRICS)
    costs: dict[str, Any] = {
        "epochs": len(rows),
        "seconds": sum(float(row["seconds"]) for row in rows) + time.perf_counter() - started,
        "seconds_per_epoch": sum(float(row["train/seconds"]) for row in rows) / max(1, len(rows)),
        "peak_memory": _peak_memory(),
        "peak_device_memory": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
    }
    run.write_result(
        task.folder,
        {
            "model": type(model).__name__,
            "init_args": task.init_args,
            "metrics": results,
            "best_epoch": best_epoch,
            **costs,
            "num_parameters": sum(p.numel() for p in model.parameters()),
            "seed": settings.seed,
            "settings": {"max_epochs": task.max_epochs, **settings.plain()},
            "fingerprint": task.fingerprint,
            "versions": run.versions(),
        },
    )
    return FitResult(model, results, best_epoch, task.folder, **costs)


def _check_call(
    model: Any, data: HeteroData, given: Mapping[str, Any], *, max_epochs: int, compile: bool | str
) -> None:
    """What a run would stumble over later, or silently do without; ``given`` are its settings."""
    _check_model(model)
    check_hetero_data(data)
    check_positive(lr=given["lr"], lr_decay=given["lr_decay"])
    check_seed(seed=given["seed"])
    check_flag(track_lines=given["track_lines"])
    named = ("batch_size", "patience", "monitor", "validate_every", "ks", "metrics")
    check_options(data, max_epochs=max_epochs, **{name: given[name] for name in named})
    if isinstance(compile, str):
        check_choice(torch.compiler.list_backends(exclude_tags=()), compile=compile)
    else:
        check_flag(compile=compile)
    if model.trainable:
        _check_weights(model)
        _check_pairs(data, "train")


def _check_weights(model: RecommenderModel) -> None:
    weights = list(model.parameters())
    if any(weight.requires_grad for weight in weights):
        return
    if weights:
        raise ValueError(
            f"'model' must have weights that are trained (all {len(weights)} of {type(model).__name__} are frozen). "
            "Call model.requires_grad_(), or rank by it as it is: drepm_pyg.evaluation.evaluate(model, data)."
        )
    raise ValueError(
        f"'model' must have weights ({type(model).__name__} has none). If it needs no training, say so in its class: "
        "trainable = False."
    )


def _check_model(model: Any) -> None:
    if not isinstance(model, RecommenderModel):
        compiled = isinstance(getattr(model, "_orig_mod", None), RecommenderModel)
        way = "Pass the model itself, and compile=True" if compiled else "Subclass it, as in docs/models.md"
        raise TypeError(f"'model' must be a RecommenderModel (got a {type(model).__name__}). {way}.")


def _plain(init_args: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What comes back from a file as it went in; found out before hours of training."""
    if init_args is None:
        return None
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(init_args)))
    except TypeError as error:
        raise TypeError(
            f"'init_args' must be plain data, as it is written to files (got {dict(init_args)!r}: {error}). Give None, "
            "and build the model yourself when you load the run."
        ) from error
    return plain


def _check_pairs(data: HeteroData, split: Literal["train", "val"]) -> None:
    if not pair_counts(data).get(split):
        what = {"train": "training", "val": "validation"}[split]
        raise ValueError(
            f"'data' must have {what} pairs in {list(USER_ITEM)}.{SPLIT_INDEX[split]} (got none). Split it first, as "
            "by drepm_pyg.data.random_split(data)."
        )


def _peak_memory() -> int:
    try:
        import resource
    except ImportError:  # not a Unix
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
