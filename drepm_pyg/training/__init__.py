"""Training on Lightning: triples by the epoch, early stopping, run folders that survive a kill."""

from drepm_pyg.training.fit import FitResult, fit
from drepm_pyg.training.metrics_file import read_metrics
from drepm_pyg.training.run import fingerprint, load_run, read_result
from drepm_pyg.training.triples import EpochTriples

__all__ = ["EpochTriples", "FitResult", "fingerprint", "fit", "load_run", "read_metrics", "read_result"]
