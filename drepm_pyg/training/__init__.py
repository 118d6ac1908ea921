"""Training on Lightning: triples by the epoch, early stopping, run folders that survive a kill."""

from typing import TYPE_CHECKING, Any

from drepm_pyg.training.fit import FitResult, fit
from drepm_pyg.training.metrics_file import read_metrics
from drepm_pyg.training.run import fingerprint, load_run, read_result
from drepm_pyg.training.triples import EpochTriples

if TYPE_CHECKING:
    from drepm_pyg.training.epoch_report import EpochReport
    from drepm_pyg.training.representation_monitor import RepresentationMonitor

__all__ = [
    "EpochReport",
    "EpochTriples",
    "FitResult",
    "RepresentationMonitor",
    "fingerprint",
    "fit",
    "load_run",
    "read_metrics",
    "read_result",
]


def __getattr__(name: str) -> Any:
    """The callbacks are Lightning classes: they come with Lightning on first use, not with ``load_run``."""
    if name == "EpochReport":
        from drepm_pyg.training.epoch_report import EpochReport

        return EpochReport
    if name == "RepresentationMonitor":
        from drepm_pyg.training.representation_monitor import RepresentationMonitor

        return RepresentationMonitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
