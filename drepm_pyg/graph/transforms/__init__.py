"""Graphs added to, normalised, merged and pruned in the data of the schema: for ``T.Compose`` and ``pre_transform``."""

from drepm_pyg.graph.transforms.add_similarity_graphs import AddSimilarityGraphs
from drepm_pyg.graph.transforms.degree_sensitive_edge_drop import DegreeSensitiveEdgeDrop
from drepm_pyg.graph.transforms.merge_modalities import MergeModalities
from drepm_pyg.graph.transforms.normalize_similarity import NormalizeSimilarity
from drepm_pyg.graph.transforms.user_cooccurrence_graph import UserCooccurrenceGraph

__all__ = [
    "AddSimilarityGraphs",
    "DegreeSensitiveEdgeDrop",
    "MergeModalities",
    "NormalizeSimilarity",
    "UserCooccurrenceGraph",
]
