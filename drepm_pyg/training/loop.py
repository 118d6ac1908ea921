"""Lightning's loop, set up for a run folder."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import EarlyStopping

from drepm_pyg._checks import require
from drepm_pyg.training import run
from drepm_pyg.training.checkpoint import RunCheckpoint
from drepm_pyg.training.generator_state import GeneratorState
from drepm_pyg.training.module import RecommenderModule
from drepm_pyg.training.progress import RunProgress
from drepm_pyg.training.representation_monitor import RepresentationMonitor

__all__ = ["train"]


def train(
    module: RecommenderModule,
    folder: Path,
    *,
    max_epochs: int,
    fixed: Mapping[str, Any],
    built: Mapping[str, Any],
    progress: bool,
    tensorboard: bool,
    options: Mapping[str, Any],
) -> int:
    """Train on, from the folder's last checkpoint if there is one, and return the best epoch.

    Args:
        module: the model, its data and the settings.
        folder: the run's folder.
        max_epochs: epochs at most.
        fixed: the settings that must not change when the run goes on.
        built: nor what shows of how the model was built.
        progress: whether to tell of the epochs on stderr.
        tensorboard: whether to write the numbers for TensorBoard, too.
        options: further arguments of Lightning's trainer.

    Raises:
        ValueError: where ``options`` ask for several devices, or ended the training before any epoch was validated.
        KeyboardInterrupt: after Ctrl-C, in words that say how to go on.
    """
    # A metric that stands still between two validations is not larger either: patience counts epochs, not validations.
    stopping = EarlyStopping(
        module.settings.monitor,
        patience=module.settings.patience,
        mode="max",
        strict=False,
        check_on_train_epoch_end=True,
    )
    keeper = RunCheckpoint(folder, stopping, fixed, built)
    callbacks: list[lightning.Callback] = [GeneratorState(), stopping, keeper]
    callbacks += [RepresentationMonitor()] if module.settings.track_lines else []
    callbacks += [RunProgress(stopping)] if progress else []
    defaults: dict[str, Any] = {
        "accelerator": "auto",
        "devices": 1,
        "default_root_dir": folder,
        "logger": _tensorboard(folder) if tensorboard else False,
        "log_every_n_steps": 1,  # nothing is logged by the step, and Lightning warns where an epoch has fewer
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
    }
    last = folder / run.LAST
    last.parent.mkdir(exist_ok=True)
    with _quiet():
        trainer = lightning.Trainer(
            **{**defaults, **options, "max_epochs": max_epochs, "callbacks": [*callbacks, *options["callbacks"]]}
        )
        if trainer.world_size > 1:  # 'auto' on a machine with several, or a strategy that brings its own
            raise ValueError(
                f"'trainer' must use one device (got {trainer.world_size}): every device would train on the same "
                "triples. Leave 'devices' out."
            )
        if last.exists():
            keeper.go_on(last, max_epochs)
        try:
            trainer.fit(module, ckpt_path=last if last.exists() else None)
        except SystemExit as stop:  # how Lightning ends after Ctrl-C
            raise KeyboardInterrupt(f"Stopped; '{folder}' goes on with resume=True (--resume true).") from stop
    if keeper.best_epoch < 0:
        given = {name: value for name, value in options.items() if name != "callbacks" or value}
        raise ValueError(
            f"'trainer' must leave one epoch to be validated (got {given!r}, which ended the run before). Raise its "
            f"limits, and go on in '{folder}' with resume=True, or choose another 'name'."
        )
    return keeper.best_epoch


def _tensorboard(folder: Path) -> Any:
    require("tensorboard", extra="tensorboard", purpose="fit(..., tensorboard=True)")
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="", version="tensorboard")


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning without its tips and without warnings about what is meant so here."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")  # batches are ready tensors
        warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")  # Lightning 2.6 under torch 2.13
        log.setLevel(logging.WARNING)
        try:
            yield
        finally:
            log.setLevel(level)
