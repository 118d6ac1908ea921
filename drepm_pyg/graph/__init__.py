"""Similarity graphs: nearest neighbours of items and users, normalisation, a transform, files."""

from drepm_pyg.graph.cooccurrence import user_cooccurrence_graph
from drepm_pyg.graph.edge_drop import degree_sensitive_edge_drop
from drepm_pyg.graph.io import read_graph, write_graph
from drepm_pyg.graph.knn import knn_graph
from drepm_pyg.graph.normalize import normalize_graph
from drepm_pyg.graph.result import KNNInfo
from drepm_pyg.graph.transforms import AddSimilarityGraphs
from drepm_pyg.graph.user_knn import user_knn_graph

__all__ = [
    "AddSimilarityGraphs",
    "KNNInfo",
    "degree_sensitive_edge_drop",
    "knn_graph",
    "normalize_graph",
    "read_graph",
    "user_cooccurrence_graph",
    "user_knn_graph",
    "write_graph",
]
