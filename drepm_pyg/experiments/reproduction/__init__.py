"""The paper's tables and figures as data, and what makes them again on any data set."""

from drepm_pyg.experiments.reproduction.reproduce import Reproduction, reproduce
from drepm_pyg.experiments.reproduction.spec import Spec, paper_names, read_spec

__all__ = ["Reproduction", "Spec", "paper_names", "read_spec", "reproduce"]
