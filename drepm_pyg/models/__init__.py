"""The models: DRepMRec and every baseline, one file each."""

from drepm_pyg._checks import check_choice
from drepm_pyg.models.alignment import BehaviorModalAlignment
from drepm_pyg.models.base import LossOutput, RecommenderModel, Representations, Triples
from drepm_pyg.models.bm3 import BM3
from drepm_pyg.models.bpr import BPR
from drepm_pyg.models.drepmrec import DRepMRec
from drepm_pyg.models.dualgnn import DualGNN
from drepm_pyg.models.freedom import FREEDOM
from drepm_pyg.models.item_knn import ItemKNN
from drepm_pyg.models.lightgcn import LightGCN
from drepm_pyg.models.mgcn import MGCN
from drepm_pyg.models.mmgcn import MMGCN
from drepm_pyg.models.most_popular import MostPopular
from drepm_pyg.models.multimodal import MultimodalModel
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.models.vbpr import VBPR
from drepm_pyg.models.with_bma import WithBMA

__all__ = [
    "BM3",
    "BPR",
    "FREEDOM",
    "MGCN",
    "MMGCN",
    "VBPR",
    "BehaviorModalAlignment",
    "DRepMRec",
    "DualGNN",
    "ItemKNN",
    "LightGCN",
    "LossOutput",
    "MostPopular",
    "MultimodalModel",
    "PairwiseObjective",
    "RecommenderModel",
    "Representations",
    "Triples",
    "WithBMA",
    "available_models",
    "get_model",
]

#: Every model that ``from_data`` builds, by its lower-case name: a new model is one line here.
_MODELS: dict[str, type[RecommenderModel]] = {
    "bpr": BPR,
    "drepmrec": DRepMRec,
    "itemknn": ItemKNN,
    "lightgcn": LightGCN,
    "bm3": BM3,
    "dualgnn": DualGNN,
    "freedom": FREEDOM,
    "mgcn": MGCN,
    "mmgcn": MMGCN,
    "vbpr": VBPR,
    "mostpopular": MostPopular,
}


def available_models() -> list[str]:
    """The names that :func:`get_model` knows, sorted.

    Example:
        >>> "drepmrec" in available_models()
        True
    """
    return sorted(_MODELS)


def get_model(name: str) -> type[RecommenderModel]:
    """The class of a model; upper and lower case are the same.

    Args:
        name: one of :func:`available_models`, or ``"withbma"``, which is built around one of them.

    Raises:
        ValueError: for any other name; the message lists the known ones.

    Example:
        >>> get_model("LightGCN").__name__
        'LightGCN'
    """
    known = name.lower() if isinstance(name, str) else name
    if known == "withbma":
        return WithBMA
    check_choice(available_models(), name=known)
    return _MODELS[known]
