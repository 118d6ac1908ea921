"""What a model was built with: the same whether its defaults are written out or left out."""

import os
import subprocess
import sys

import pytest
import torch

from drepm_pyg.models import BPR, FREEDOM, VBPR, LightGCN, WithBMA, available_models, get_model
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.training.arguments import all_arguments, built
from tests import toy


def test_defaults_that_are_left_out_are_those_that_are_written_out() -> None:
    model = BPR.from_data(toy.toy_data(), reg=0.5)
    whole = {"embedding_dim": 64, "reg": 0.5, "l2_form": "norm"}
    assert all_arguments(model, {"reg": 0.5}) == all_arguments(model, whole) == whole


def test_arguments_that_nobody_told_are_unknown() -> None:
    assert all_arguments(BPR.from_data(toy.toy_data()), None) is None


def test_the_arguments_of_from_data_belong_to_them() -> None:
    assert all_arguments(FREEDOM.from_data(toy.toy_data()), {"weights": None})["modalities"] is None


def test_an_aligned_model_has_those_of_the_inner_one_and_of_the_loss() -> None:
    model = WithBMA(VBPR.from_data(toy.toy_data()), BMALoss(0.1, 0, 0))
    alignment = {"alpha": 0.1, "beta": 0, "gamma": 0}
    short = {"model": {"class_path": "VBPR"}, **alignment}
    long = {"class_path": "drepm_pyg.models.VBPR", "init_args": {"embedding_dim": 64, "reg": 1.0}}
    found = all_arguments(model, short)
    assert found == all_arguments(model, {"model": long, **alignment, "temperature": 0.2, "weights": None})
    assert (found["model"]["init_args"]["reg"], found["mask_false_negatives"]) == (1.0, False)


#: Of each model, an argument that is neither a size of a table nor a layer.
OTHER = {
    "bm3": {"dropout": 0.1},
    "bpr": {"reg": 0.5},
    "drepmrec": {"alpha": 0.5},
    "dualgnn": {"reg": 0.5},
    "freedom": {"dropout": 0.5},
    "lightgcn": {"reg": 0.5},
    "mgcn": {"cl_weight": 0.5},
    "mmgcn": {"reg": 0.5},
    "vbpr": {"reg": 0.5},
}


@pytest.mark.parametrize("name", [name for name in available_models() if get_model(name).trainable])
def test_models_of_other_arguments_are_built_otherwise(name: str) -> None:
    data = toy.toy_data()
    model = get_model(name)
    assert built(model.from_data(data)) == built(model.from_data(data).eval())
    assert built(model.from_data(data)) != built(model.from_data(data, **OTHER[name]))


def test_what_a_number_is_written_as_and_where_an_object_lies_says_nothing() -> None:
    data = toy.toy_data()
    whole, point = (WithBMA(VBPR.from_data(data), BMALoss(*weights)) for weights in ((1, 0, 0), (1.0, 0.0, 0.0)))
    assert built(whole) == built(point)
    made = [built(LightGCN.from_data(data, readout=lambda layers: layers[0])) for _ in range(2)]
    assert made[0] == made[1]


class Bare(torch.nn.Module):
    """It keeps no argument under its name, and shows none."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size))


def test_the_shapes_of_weights_tell_what_nothing_else_does() -> None:
    small, large = built(Bare(2)), built(Bare(3))
    assert (small.pop("shapes"), large.pop("shapes")) == ({"weight": [2]}, {"weight": [3]})
    assert small == large


def test_the_same_model_is_built_alike_in_every_process() -> None:
    code = (
        "from drepm_pyg.models import DRepMRec\nfrom drepm_pyg.training.arguments import built\nfrom tests import toy\n"
        "print(built(DRepMRec.from_data(toy.toy_data(), readout=lambda layers: layers[-1])))"
    )
    said = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1
