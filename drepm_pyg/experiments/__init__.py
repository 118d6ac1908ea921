"""Experiments as data: a run described in YAML, the demo, a search for settings, a paired test, tables and figures."""

from drepm_pyg.experiments.experiment import Experiment, GraphOptions
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.experiments.trained import load_trained

__all__ = ["Experiment", "GraphOptions", "load_data", "load_trained"]
