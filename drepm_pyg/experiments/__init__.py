"""Experiments as data: a run in YAML, the search for its settings, the demo, the paper's tables and figures."""

from drepm_pyg.experiments.experiment import Experiment, GraphOptions
from drepm_pyg.experiments.reproduction import Reproduction, reproduce
from drepm_pyg.experiments.search import Sweep, sweep
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.experiments.trained import load_trained

__all__ = [
    "Experiment",
    "GraphOptions",
    "Reproduction",
    "Sweep",
    "load_data",
    "load_trained",
    "reproduce",
    "sweep",
]
