"""The conflict of the two gradients, epoch by epoch: ``gradients.csv`` beside ``metrics.csv``."""

from pathlib import Path

from drepm_pyg.training.metrics_file import read_numbers

__all__ = ["BINS", "GRADIENTS", "read_gradients"]

GRADIENTS = "gradients.csv"

#: Bins of the histogram over [-1, 1].
BINS = 40


def read_gradients(folder: Path) -> list[dict[str, float]]:
    """The rows of a finished run."""
    return read_numbers(folder / GRADIENTS)
