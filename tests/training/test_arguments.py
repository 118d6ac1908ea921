"""What a model was built with: the same whether its defaults are written out or left out."""

from drepm_pyg.models import BPR, FREEDOM, VBPR, WithBMA
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.training.arguments import all_arguments
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
