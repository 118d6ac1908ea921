"""The search for settings, in processes that share its trials, on Optuna."""

from drepm_pyg.experiments.search.sweep import Sweep, sweep

__all__ = ["Sweep", "sweep"]
