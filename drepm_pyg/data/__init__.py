"""Files to HeteroData, splits, and negative samples."""

from drepm_pyg.data.atomic_files import read_atomic_files
from drepm_pyg.data.duplicates import mask_duplicate_rows
from drepm_pyg.data.interactions import Interactions, assign_split
from drepm_pyg.data.k_core import k_core
from drepm_pyg.data.knowledge import knowledge_features
from drepm_pyg.data.mmrec import read_mmrec, write_mmrec
from drepm_pyg.data.movielens import MultimodalMovieLens
from drepm_pyg.data.negatives import NegativeSampler, sample_negatives
from drepm_pyg.data.recbole import read_recbole
from drepm_pyg.data.schema import ITEM_USER, SPLIT_INDEX, USER_ITEM, build_data, modalities, modality_mask, similar
from drepm_pyg.data.splits import leave_one_out_split, random_split, temporal_split
from drepm_pyg.data.synthetic import SyntheticMultimodal
from drepm_pyg.data.text import embed_texts
from drepm_pyg.data.validate import validate

__all__ = [
    "ITEM_USER",
    "SPLIT_INDEX",
    "USER_ITEM",
    "Interactions",
    "MultimodalMovieLens",
    "NegativeSampler",
    "SyntheticMultimodal",
    "assign_split",
    "build_data",
    "embed_texts",
    "k_core",
    "knowledge_features",
    "leave_one_out_split",
    "mask_duplicate_rows",
    "modalities",
    "modality_mask",
    "random_split",
    "read_atomic_files",
    "read_mmrec",
    "read_recbole",
    "sample_negatives",
    "similar",
    "temporal_split",
    "validate",
    "write_mmrec",
]
