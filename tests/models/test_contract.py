"""Every public model passes the shared battery (tests/cases.py): a new model is one class of two lines here."""

import inspect
from typing import Any, ClassVar

from drepm_pyg import models
from drepm_pyg.models import (
    BM3,
    BPR,
    FREEDOM,
    MGCN,
    MMGCN,
    VBPR,
    DRepMRec,
    DualGNN,
    ItemKNN,
    LightGCN,
    MostPopular,
    RecommenderModel,
)
from tests import cases

#: Public subclasses of RecommenderModel that the battery cannot build, with the reason.
NO_CASE = {
    "MultimodalModel": "abstract: a base class without forward and loss",
    "RecommenderModel": "abstract: the base class",
    "WithBMA": "wraps another model; tests/models/test_with_bma.py runs the battery on wrapped models",
}


class TestBM3(cases.TrainedModelCase):
    cls = BM3


class TestBPR(cases.TrainedModelCase):
    cls = BPR


class TestDRepMRec(cases.TrainedModelCase):
    cls = DRepMRec


class TestDualGNN(cases.TrainedModelCase):
    cls, learning_rate = DualGNN, 0.007  # at the others' rate rounding alone decides whether it overfits


class TestFREEDOM(cases.TrainedModelCase):
    cls, kwargs = FREEDOM, {"dropout": 0.2}


class TestFREEDOMWithModalLoss(cases.TrainedModelCase):
    cls, kwargs, overfit_kwargs = FREEDOM, {"dropout": 0.2, "reg": 1e-3}, {"dropout": 0.0}


class TestLightGCN(cases.TrainedModelCase):
    cls = LightGCN


class TestItemKNN(cases.ModelCase):
    cls = ItemKNN


class TestItemKNNOnContent(cases.ModelCase):
    cls, kwargs = ItemKNN, {"source": "content", "k": 4}


class TestMGCN(cases.TrainedModelCase):
    cls = MGCN


class TestMMGCN(cases.TrainedModelCase):
    cls, learning_rate = MMGCN, 0.003  # unregularised layers grow without bound at the others' rate
    overfit_kwargs: ClassVar[dict[str, Any]] = {"reg": 0.0, "num_layers": 1}


class TestMostPopular(cases.ModelCase):
    cls = MostPopular


class TestVBPR(cases.TrainedModelCase):
    cls = VBPR


def test_every_public_model_passes_the_battery() -> None:
    public = {
        name
        for name in models.__all__
        if inspect.isclass(model := getattr(models, name)) and issubclass(model, RecommenderModel)
    }
    tested = {case.cls.__name__ for case in globals().values() if inspect.isclass(case) and hasattr(case, "cls")}
    assert public - tested == set(NO_CASE)


def test_every_model_with_a_case_has_a_name() -> None:
    public = {
        name.lower() for name in models.__all__ if name not in NO_CASE and name.lower() in models.available_models()
    }
    assert sorted(public) == models.available_models()
