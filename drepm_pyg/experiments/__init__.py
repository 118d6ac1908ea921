"""Experiments as data: a run described in YAML, the demo, a search for settings, a paired test, tables and figures."""

from drepm_pyg.experiments.experiment import Experiment, GraphOptions
from drepm_pyg.experiments.sources import load_data

__all__ = ["Experiment", "GraphOptions", "load_data"]
