"""What is kept after every epoch, in an order that a kill at any moment does not harm."""

import pickle
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping

from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import replaced
from drepm_pyg.training import run
from drepm_pyg.training.metrics_file import MetricsFile
from drepm_pyg.training.module import RecommenderModule

__all__ = ["RunCheckpoint"]

_TOLD = 5  # differences that an error lists


class RunCheckpoint(Checkpoint):
    """The row of the epoch, the best weights so far, and then the checkpoint that a resumed run starts from.

    Lightning's own ModelCheckpoint keeps absolute paths (a run that was moved forgets its best epoch) and knows nothing
    of rows. Each file is replaced whole. What a killed epoch left before its checkpoint is written again, equal, when
    the run goes on.

    Args:
        folder: the run's folder.
        stopping: the early stopping, which says whether an epoch was the best.
        settings: what must not change when the run goes on.
        built: nor this, of how the model was built (:func:`drepm_pyg.training.arguments.built`).
    """

    def __init__(
        self, folder: Path, stopping: EarlyStopping, settings: Mapping[str, Any], built: Mapping[str, Any]
    ) -> None:
        self.folder, self.stopping = folder, stopping
        self.settings, self.built = dict(settings), dict(built)
        self.record = MetricsFile(folder / run.METRICS)
        self.best_epoch = -1
        self._in_turn: dict[str, Any] | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Train no further epoch if patience had run out."""
        if self._in_turn is not None:  # the run goes on: its last epoch was validated only because it was the last
            self.best_epoch = self._in_turn["best_epoch"]
            self.stopping.load_state_dict(self._in_turn["stopping"])
        if self.best_epoch >= 0:
            # The trainer forgot the metric, too, and patience counts the epochs until the next validation.
            trainer.callback_metrics[self.stopping.monitor] = self.stopping.best_score
        # Early stopping remembers that it waited long enough, the trainer does not remember to have been told.
        trainer.should_stop = self.stopping.wait_count >= self.stopping.patience
        if trainer.should_stop:
            self._take_back()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """What is known if this epoch turns out to be validated out of turn."""
        state = self.stopping.state_dict()
        waited = state["wait_count"] + (self.best_epoch >= 0)  # as after an epoch without validation
        self._in_turn = {"best_epoch": self.best_epoch, "stopping": {**state, "wait_count": waited}}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning calls checkpoints after all other callbacks and after the module."""
        assert isinstance(pl_module, RecommenderModule)
        self._take_back()
        if pl_module.in_turn or not pl_module.validates:
            self._in_turn = None
        # Of fewer epochs, where a finished run goes on: it must not stand beside weights that it is not of.
        (self.folder / run.RESULT).unlink(missing_ok=True)
        self.record.append(pl_module.row)
        if self.stopping.wait_count == 0 and pl_module.validates:
            if self._in_turn is not None and self.best_epoch >= 0:
                with replaced(self.folder / run.IN_TURN) as file:
                    shutil.copyfile(self.folder / run.WEIGHTS, file)
            self.best_epoch = trainer.current_epoch
            run.write_weights(self.folder, pl_module.model)
        with replaced(self.folder / run.LAST) as file:
            trainer.save_checkpoint(file)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch, under which settings it was found, and of which model.

        Where the last epoch was validated out of turn, ``in_turn`` is what would be known without it: a run that goes
        on is to end as if it had never stopped.
        """
        state = {"best_epoch": self.best_epoch, "in_turn": self._in_turn}
        return {**state, "settings": self.settings, "built": self.built}

    def go_on(self, last: Path, max_epochs: int) -> None:
        """Take up the rows of the epochs that are done; under the same settings, or the end equals no whole run.

        Lightning would load the weights first, and speak of those that another model lacks.

        Raises:
            CorruptFileError: where the checkpoint cannot be read, or rows of its epochs are missing.
            ValueError: where settings differ, or what shows of how the model was built; where more epochs are done
                than ``max_epochs``, or as many and none was validated.
        """
        try:
            # Our own file, as Lightning reads it; mapped, so that no weights are read twice.
            state = torch.load(last, map_location="cpu", mmap=True, weights_only=True)
            kept = state["callbacks"][self.state_key]
            # Earlier versions did not write how the model was built.
            before, built, done = kept["settings"], kept.get("built", self.built), state["epoch"] + 1
        except (RuntimeError, EOFError, KeyError, TypeError, OSError, pickle.UnpicklingError) as error:
            raise CorruptFileError(
                f"'{last}' is no checkpoint ({str(error).partition('. ')[0]}). Was it truncated? Delete the folder, or "
                "choose another 'name'."
            ) from error
        self._compare(before, built)
        unvalidated = kept["best_epoch"] < 0
        if max_epochs < done + unvalidated:
            why = "of whose epochs none is validated" if unvalidated else "which has so many epochs"
            raise ValueError(
                f"'max_epochs' must be at least {done + unvalidated} to go on with '{self.folder}', {why} (got "
                f"{max_epochs}). Give more, or choose another 'name'."
            )
        self.record.start(done)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best epoch."""
        self.best_epoch, self._in_turn = state_dict["best_epoch"], state_dict.get("in_turn")

    def _take_back(self) -> None:
        """The best weights of before a validation out of turn, where that one had replaced them."""
        kept = self.folder / run.IN_TURN
        if kept.exists():
            kept.replace(self.folder / run.WEIGHTS)

    def _compare(self, before: Mapping[str, Any], built: Mapping[str, Any]) -> None:
        changed = list(_differences(self.settings, before))
        # Of another class or by other arguments, a model differs in all that it is made of.
        if all(self.settings.get(name) == before.get(name) for name in ("model", "init_args")):
            found = (list(_differences(self.built[group], built[group])) for group in self.built)
            changed += next(filter(None, found), [])
        if changed:
            more = f"; {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
            raise ValueError(
                f"'{self.folder}' can only go on as it began, but for 'max_epochs', 'compile' and 'trainer' (got "
                f"{'; '.join(changed[:_TOLD])}{more}). Take the settings of its {run.CONFIG}, or choose another 'name'."
            )


def _differences(now: Any, before: Any, name: str = "") -> Iterator[str]:
    """What differs, by its dotted name."""
    if isinstance(now, Mapping) and isinstance(before, Mapping):
        for key in {**before, **now}:
            yield from _differences(now.get(key), before.get(key), f"{name}.{key}" if name else key)
    elif now != before and name == "data":
        yield f"other data, or the same with other graphs: fingerprint {now}, was {before}"
    elif now != before:
        yield f"{name}={now!r}, was {before!r}"
