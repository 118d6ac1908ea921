"""The losses as mathematics: unreduced functions with nothing to remember (DRepMRec, Eq. 8-15)."""

from drepm_pyg.nn.functional.alignment import inter_alignment, intra_alignment
from drepm_pyg.nn.functional.batch import false_negative_mask, first_occurrences
from drepm_pyg.nn.functional.factored import FactoredSimilarity
from drepm_pyg.nn.functional.implicit import ImplicitSimilarity
from drepm_pyg.nn.functional.indexed import IndexedSimilarity
from drepm_pyg.nn.functional.info_nce import info_nce
from drepm_pyg.nn.functional.penalty import L2_FORMS, embedding_l2
from drepm_pyg.nn.functional.ranking import bpr
from drepm_pyg.nn.functional.rows import normalize_rows
from drepm_pyg.nn.functional.similarity import SSS_METRICS, similarity_distance, similarity_supervised

__all__ = [
    "L2_FORMS",
    "SSS_METRICS",
    "FactoredSimilarity",
    "ImplicitSimilarity",
    "IndexedSimilarity",
    "bpr",
    "embedding_l2",
    "false_negative_mask",
    "first_occurrences",
    "info_nce",
    "inter_alignment",
    "intra_alignment",
    "normalize_rows",
    "similarity_distance",
    "similarity_supervised",
]
