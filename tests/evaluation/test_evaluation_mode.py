"""Evaluation mode, and the way back to the mode of every single module."""

import pytest
from torch import nn

from drepm_pyg.evaluation.evaluation_mode import evaluation_mode
from drepm_pyg.models import LightGCN
from drepm_pyg.training.module import RecommenderModule
from drepm_pyg.training.settings import Settings
from tests import toy


def modes(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]


@pytest.mark.parametrize("outer", [True, False])
def test_what_was_frozen_stays_frozen(outer: bool) -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
    model.training = outer
    model[1].eval()
    before = modes(model)
    assert before == [outer, True, False]
    with evaluation_mode(model):
        assert modes(model) == [False, False, False]
    assert modes(model) == before


def test_an_error_leaves_the_mode_as_it_was() -> None:
    model = nn.Sequential(nn.Dropout()).train()
    with pytest.raises(ArithmeticError), evaluation_mode(model):
        raise ArithmeticError
    assert modes(model) == [True, True]


def test_of_blocks_that_overlap_the_last_to_end_gives_the_modes_back() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
    model[1].eval()
    before = modes(model)
    first, second = evaluation_mode(model), evaluation_mode(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert modes(model) == [False, False, False]
    second.__exit__(None, None, None)
    assert modes(model) == before == [True, True, False]


def test_what_is_no_module_is_left_alone() -> None:
    thing = {"training": True}
    with evaluation_mode(thing):
        assert thing == {"training": True}
    assert thing == {"training": True}


def test_validation_leaves_what_was_frozen_frozen() -> None:
    data = toy.toy_data()
    model = LightGCN.from_data(data, embedding_dim=4)
    model.frozen = nn.BatchNorm1d(3).eval()
    settings = Settings(
        batch_size=8,
        lr=0.1,
        lr_decay=1.0,
        patience=1,
        monitor="val/recall@1",
        validate_every=1,
        seed=0,
        ks=(1,),
        metrics=("recall",),
        track_lines=False,
    )
    RecommenderModule(model, data, settings).ranked()
    assert (model.training, model.frozen.training) == (True, False)


def test_a_module_that_does_more_than_switch_is_switched_back_by_its_own_method() -> None:
    class Merged(nn.Linear):
        merged = False

        def train(self, mode: bool = True) -> "Merged":
            self.merged = not mode
            return super().train(mode)

    layer = Merged(2, 2)
    with evaluation_mode(nn.Sequential(layer)):
        assert layer.merged
    assert not layer.merged
    assert layer.training
