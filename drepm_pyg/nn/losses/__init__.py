"""Losses as modules, each thin over a function of :mod:`drepm_pyg.nn.functional`."""

from drepm_pyg.nn.losses.alignment import InfoNCELoss, InterAlignmentLoss, IntraAlignmentLoss
from drepm_pyg.nn.losses.bma import BMALoss, BMALossOutput
from drepm_pyg.nn.losses.bpr import BPRLoss
from drepm_pyg.nn.losses.similarity_supervised import SimilaritySupervisedLoss

__all__ = [
    "BMALoss",
    "BMALossOutput",
    "BPRLoss",
    "InfoNCELoss",
    "InterAlignmentLoss",
    "IntraAlignmentLoss",
    "SimilaritySupervisedLoss",
]
