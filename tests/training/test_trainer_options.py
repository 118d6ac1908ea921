"""What fit hands on to Lightning's trainer: what works, works whole; what would have no effect is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks import StochasticWeightAveraging, Timer

from drepm_pyg.models import LightGCN
from drepm_pyg.training import EpochTriples, FitResult, fit, read_metrics
from drepm_pyg.training.trainer_options import plain_options
from tests import toy

Train = Callable[..., FitResult]


@pytest.fixture
def train(train: Train) -> Train:
    """A single epoch of LightGCN: ``train({"max_steps": 1})``."""

    def run(trainer: Any, **options: Any) -> FitResult:
        torch.manual_seed(0)
        data = toy.toy_data()
        return train(LightGCN.from_data(data, embedding_dim=8), data, trainer=trainer, **{"max_epochs": 1, **options})

    return run


@pytest.mark.parametrize("trainer", [{"limit_train_batches": 0.5}, {"fast_dev_run": True}, {"max_steps": 1}], ids=str)
def test_the_loss_of_a_shortened_epoch_is_that_of_its_triples(trainer: dict[str, Any], train: Train) -> None:
    """One of three batches runs."""
    data = toy.toy_data()
    result = train(trainer)
    torch.manual_seed(0)
    model = LightGCN.from_data(data, embedding_dim=8)
    first = next(EpochTriples(data, batch_size=16).epoch(0))
    (row,) = read_metrics(result.path / "metrics.csv")
    assert float(row["train/total"]) == pytest.approx(model.loss(data, first).total.item(), rel=1e-6)


def test_the_epoch_that_max_steps_ends_is_validated(train: Train) -> None:
    result = train({"max_steps": 4}, max_epochs=9, validate_every=5)
    assert (result.epoch, result.epochs) == (1, 2)


def test_a_single_callback_is_taken(train: Train) -> None:
    timer = Timer()
    train({"callbacks": timer})
    assert timer.time_elapsed() > 0


def test_mixed_precision_and_a_model_in_float64_train(train: Train, tmp_path: Path) -> None:
    assert next(train({"precision": "bf16-mixed"}).model.parameters()).dtype == torch.float32
    data = toy.toy_data()
    options = {"max_epochs": 1, "ks": (5,), "monitor": "val/recall@5", "progress": False}
    double = fit(LightGCN.from_data(data, embedding_dim=8).double(), data, root=tmp_path, **options)
    assert next(double.model.parameters()).dtype == torch.float64


def test_the_plain_options_are_those_that_a_file_keeps() -> None:
    options = {"precision": "bf16-mixed", "accumulate_grad_batches": 2, "callbacks": [], "logger": object()}
    assert plain_options(options) == {"precision": "bf16-mixed", "accumulate_grad_batches": 2}


@pytest.mark.errors
@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("max_epochs", "max_epochs"),
        ("default_root_dir", "root"),
        ("enable_progress_bar", "progress"),
        ("check_val_every_n_epoch", "validate_every"),
    ],
)
def test_what_fit_sets_by_itself_is_refused(name: str, own: str, train: Train, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"must not name '{name}', .* \(got 1\)\. Pass fit's '{own}'"):
        train({name: 1})
    assert not list(tmp_path.iterdir())


@pytest.mark.errors
def test_names_that_lightning_does_not_know_are_refused(train: Train, tmp_path: Path) -> None:
    text = r"'trainer' must name arguments of lightning\.Trainer \(got \['max_step', 1\]\), which are .* max_steps, "
    with pytest.raises(ValueError, match=text) as error:
        train({"max_step": 1, "max_time": None, 1: 2})
    assert "max_epochs" not in str(error.value)  # which fit sets by itself
    assert not list(tmp_path.iterdir())


@pytest.mark.errors
@pytest.mark.parametrize("precision", ["64-true", 64, "bf16-true", "16-true", "half"])
def test_a_precision_that_would_convert_the_triples_is_refused(precision: Any, train: Train, tmp_path: Path) -> None:
    text = rf"must be one of '32-true', 'bf16-mixed', '16-mixed' \(got {precision!r}\)\. .* model\.double\(\)"
    with pytest.raises(ValueError, match=text):
        train({"precision": precision})
    assert not list(tmp_path.iterdir())


@pytest.mark.errors
@pytest.mark.parametrize("name", ["EMAWeightAveraging", "StochasticWeightAveraging"])
def test_averaged_weights_are_refused(name: str, train: Train, tmp_path: Path) -> None:
    """Neither validation nor the best weights would be those of the average."""
    if not hasattr(callbacks, name):
        pytest.skip("came with Lightning 2.6")
    averaging = StochasticWeightAveraging(1e-3) if name.startswith("S") else getattr(callbacks, name)()
    with pytest.raises(ValueError, match=rf"'callbacks' in 'trainer' must not average weights \(got {name}\)"):
        train({"callbacks": [averaging]})
    assert not list(tmp_path.iterdir())


@pytest.mark.errors
@pytest.mark.parametrize("option", [{"devices": 2}, {"devices": -1}, {"devices": [0, 1]}, {"num_nodes": 2}], ids=str)
def test_several_devices_are_refused_before_a_process_starts(
    option: dict[str, Any], train: Train, tmp_path: Path
) -> None:
    (name, value) = next(iter(option.items()))
    with pytest.raises(ValueError, match=rf"'{name}' in 'trainer' must be .* \(got {re.escape(str(value))}\): all"):
        train(option)
    assert not list(tmp_path.iterdir())


def test_one_device_may_be_named(train: Train) -> None:
    for devices in (1, "1", "auto"):
        assert train({"accelerator": "cpu", "devices": devices}).epochs == 1


@pytest.mark.errors
def test_options_that_are_none_or_leave_nothing_are_refused(train: Train, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"'trainer' must be a mapping of arguments of lightning.Trainer \(got a Timer"):
        train(Timer())
    assert not list(tmp_path.iterdir())
    for given in (5, [Timer(), 5]):
        with pytest.raises(TypeError, match=r"'callbacks' in 'trainer' must be .* or a list of them \(got a int\)"):
            train({"callbacks": given})
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"one epoch to be validated \(got {'limit_train_batches': 0}, which"):
        train({"limit_train_batches": 0})
