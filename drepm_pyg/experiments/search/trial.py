"""One trial: a run that is watched by the pruner, and what came of it on the validation pairs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import optuna
from optuna.trial import Trial, TrialState
from torch_geometric.data import HeteroData

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.search.study import Claim
from drepm_pyg.experiments.yaml_file import read_yaml
from drepm_pyg.training import EpochReport
from drepm_pyg.training.metrics_file import read_numbers
from drepm_pyg.training.run import CONFIG, METRICS

__all__ = ["Outcome", "run_trial"]

#: What settings can be at fault for: a loss that is not finite, no memory, a value that the model refuses.
_OF_THE_SETTINGS = (ArithmeticError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial; test metrics are no part of it.

    Attributes:
        state: COMPLETE, PRUNED or FAIL.
        metrics: the validation metrics of the best epoch.
        best_epoch: counted from 0; -1 for a model without training, None where no epoch was validated.
        epochs: number of epochs trained.
        seconds: of all epochs, before an interruption, too.
        error: why it failed.
    """

    state: TrialState
    metrics: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    error: str | None = None

    def record(self, claim: Claim, monitor: str) -> None:
        """Write everything into the study, the state last: a trial that has one is done."""
        told = {name: value for name, value in asdict(self).items() if name != "state"}
        claim.trial.set_user_attr("outcome", told)
        value = self.metrics[monitor] if self.state == TrialState.COMPLETE else None
        claim.study.tell(claim.trial, value, state=self.state)


def run_trial(experiment: Experiment, data: HeteroData, trial: Trial, monitor: str) -> Outcome:
    """Train, or go on with the run that was cut short.

    Args:
        experiment: with the ``root`` and ``name`` of its run.
        data: with the graphs that the model reads.
        trial: reported to after every validated epoch.
        monitor: the validation metric that decides.

    Raises:
        ValueError: where the folder holds a run with other settings.
        KeyboardInterrupt: after Ctrl-C; the last finished epoch is kept.
    """
    folder = Path(experiment.options["root"]) / experiment.options["name"]
    _check_folder(folder, experiment)
    watch = _Watch(trial, monitor)
    try:
        for row in read_numbers(folder / METRICS):
            watch(row)
        result = experiment.run(data, resume=True, progress=False, trainer={"callbacks": [EpochReport(watch)]})
    except optuna.TrialPruned:
        return _cut_short(folder, monitor, TrialState.PRUNED)
    except _OF_THE_SETTINGS as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return _cut_short(folder, monitor, TrialState.FAIL, error=text)
    metrics = {name: value for name, value in result.metrics.items() if name.startswith("val/")}
    return Outcome(TrialState.COMPLETE, metrics, result.epoch, result.epochs, result.seconds)


class _Watch:
    """Tells the study of every epoch once, and ends the run where the pruner has seen enough."""

    def __init__(self, trial: Trial, monitor: str) -> None:
        self.trial, self.monitor = trial, monitor
        self.told: set[int] = set()  # a resumed run repeats the epoch whose checkpoint was not written

    def __call__(self, row: Mapping[str, float]) -> None:
        epoch = int(row["epoch"])
        if self.monitor not in row or epoch in self.told:
            return
        self.told.add(epoch)
        self.trial.report(row[self.monitor], epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def _check_folder(folder: Path, experiment: Experiment) -> None:
    if not (folder / CONFIG).exists():
        return
    there, here = read_yaml(folder / CONFIG), experiment.to_config()
    # The root may have been moved, or be named from elsewhere.
    if {**there, "root": None} != {**here, "root": None}:
        raise ValueError(f"'{folder}' holds a run that is no trial of this search. Choose another 'root'.")


def _cut_short(folder: Path, monitor: str, state: TrialState, error: str | None = None) -> Outcome:
    """What the rows of a run without a result tell."""
    rows = read_numbers(folder / METRICS)
    best = max((row for row in rows if monitor in row), key=lambda row: row[monitor], default=None)
    return Outcome(
        state,
        {} if best is None else {name: value for name, value in best.items() if name.startswith("val/")},
        None if best is None else int(best["epoch"]),
        len(rows),
        sum(row["seconds"] for row in rows),
        error,
    )
