"""Layers: tensors and adjacencies in, tensors out. Losses stand in :mod:`drepm_pyg.nn.losses`."""

from drepm_pyg.nn.behavior_encoder import BehaviorEncoder
from drepm_pyg.nn.conv import KNNGraphConv, LightGCNConv
from drepm_pyg.nn.filter_gate import FilterGate
from drepm_pyg.nn.modal_encoder import ModalEncoder, resolve_weights
from drepm_pyg.nn.projection import ConcatProjection, FeatureMLP, ModalityProjection
from drepm_pyg.nn.structure import (
    SparseStructure,
    bipartite_structure,
    graph_structure,
    interaction_structure,
    mean_structure,
)

__all__ = [
    "BehaviorEncoder",
    "ConcatProjection",
    "FeatureMLP",
    "FilterGate",
    "KNNGraphConv",
    "LightGCNConv",
    "ModalEncoder",
    "ModalityProjection",
    "SparseStructure",
    "bipartite_structure",
    "graph_structure",
    "interaction_structure",
    "mean_structure",
    "resolve_weights",
]
