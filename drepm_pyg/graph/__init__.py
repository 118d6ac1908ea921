"""Similarity graphs: nearest neighbours of items and users, what may be done with them, and how good they are."""

from drepm_pyg.graph.bipartite import bipartite_knn_graph
from drepm_pyg.graph.cooccurrence import user_cooccurrence_graph
from drepm_pyg.graph.diagnostics import (
    connected_components,
    degree_histogram,
    hubness,
    jaccard,
    mutual_share,
    recall_at_k,
)
from drepm_pyg.graph.edge_drop import degree_sensitive_edge_drop
from drepm_pyg.graph.homophily import edge_homophily
from drepm_pyg.graph.incremental import extend_knn_graph, remove_nodes
from drepm_pyg.graph.io import read_graph, write_graph
from drepm_pyg.graph.knn import knn_graph, knn_graphs
from drepm_pyg.graph.merge import merge_graphs
from drepm_pyg.graph.normalize import normalize_graph
from drepm_pyg.graph.on_disk import on_disk_index
from drepm_pyg.graph.result import KNNInfo
from drepm_pyg.graph.transforms import (
    AddSimilarityGraphs,
    DegreeSensitiveEdgeDrop,
    MergeModalities,
    NormalizeSimilarity,
    UserCooccurrenceGraph,
)
from drepm_pyg.graph.user_knn import user_knn_graph

__all__ = [
    "AddSimilarityGraphs",
    "DegreeSensitiveEdgeDrop",
    "KNNInfo",
    "MergeModalities",
    "NormalizeSimilarity",
    "UserCooccurrenceGraph",
    "bipartite_knn_graph",
    "connected_components",
    "degree_histogram",
    "degree_sensitive_edge_drop",
    "edge_homophily",
    "extend_knn_graph",
    "hubness",
    "jaccard",
    "knn_graph",
    "knn_graphs",
    "merge_graphs",
    "mutual_share",
    "normalize_graph",
    "on_disk_index",
    "read_graph",
    "recall_at_k",
    "remove_nodes",
    "user_cooccurrence_graph",
    "user_knn_graph",
    "write_graph",
]
