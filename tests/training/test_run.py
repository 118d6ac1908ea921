"""The folder of a run: fingerprints of all tensors, a config for the command line, and the model back from it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.models import LightGCN, LossOutput, MostPopular, RecommenderModel, Representations, Triples, WithBMA
from drepm_pyg.training import FitResult, fingerprint, load_run, read_metrics, read_result
from drepm_pyg.training.run import write_config, write_result
from tests import toy

Train = Callable[..., FitResult]


@pytest.fixture
def train(train: Train) -> Train:
    """A single epoch."""
    return partial(train, max_epochs=1)


def config_of(run: FitResult) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((run.path / "config.yaml").read_text())
    return config


class TwoTables(RecommenderModel):
    """A model that somebody else wrote."""

    def __init__(self, num_users: int, num_items: int, width: int = 4) -> None:
        super().__init__(num_users, num_items)
        self.user, self.item = nn.Embedding(num_users, width), nn.Embedding(num_items, width)

    def forward(self, data: HeteroData) -> Representations:
        return Representations(self.user.weight, self.item.weight)

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        user, positive, negative = batch.rows(self.user.weight, self.item.weight)
        return LossOutput.from_parts(hinge=(1 + (user * (negative - positive)).sum(1)).relu().mean())


SPARSE = {
    "csr": torch.Tensor.to_sparse_csr,
    "csc": torch.Tensor.to_sparse_csc,
    "coo": torch.Tensor.to_sparse_coo,
    "bsr": lambda dense: dense.to_sparse_bsr((1, 1)),
}


def test_equal_data_have_equal_fingerprints() -> None:
    assert fingerprint(toy.toy_data()) == fingerprint(toy.toy_data())
    changed = toy.toy_data()
    changed["item"].text[0, 0] += 1
    assert fingerprint(changed) != fingerprint(toy.toy_data())


@pytest.mark.parametrize("layout", SPARSE)
def test_sparse_tensors_are_part_of_the_fingerprint(layout: str) -> None:
    def hashed(dense: torch.Tensor) -> str:
        data = toy.toy_data()
        data["item"].adj = SPARSE[layout](dense)
        return fingerprint(data)

    dense = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    assert hashed(dense) == hashed(dense.clone())
    assert len({hashed(dense), hashed(2 * dense), hashed(dense.T.contiguous()), hashed(dense.flip(0))}) == 4


def test_entries_of_a_coo_tensor_have_no_order() -> None:
    def hashed(*order: int) -> str:
        index, value = torch.tensor([[0, 1, 1], [1, 0, 0]]), torch.tensor([1.0, 2.0, 3.0])
        data = toy.toy_data()
        data["item"].adj = torch.sparse_coo_tensor(index[:, list(order)], value[list(order)], (2, 2))
        return fingerprint(data)

    assert hashed(0, 1, 2) == hashed(2, 0, 1)


def test_the_layout_is_part_of_the_fingerprint() -> None:
    """The arrays of a symmetric pattern's CSR and CSC are the same, the matrices are each other's transpose."""
    data, other = toy.toy_data(), toy.toy_data()
    data["item"].adj = torch.tensor([[0.0, 1.0], [2.0, 0.0]]).to_sparse_csr()
    other["item"].adj = torch.tensor([[0.0, 2.0], [1.0, 0.0]]).to_sparse_csc()
    assert fingerprint(data) != fingerprint(other)


def test_data_with_sparse_tensors_are_trained_on(train: Train) -> None:
    data = toy.toy_data()
    data["item"].adj = torch.eye(3).to_sparse_csr()
    assert train(LightGCN.from_data(data, embedding_dim=4), data).epochs == 1


def test_the_config_of_a_call_says_what_was_asked_for(train: Train, tmp_path: Path) -> None:
    data, init_args = toy.toy_data(), {"embedding_dim": 4}
    trainer = {"precision": "bf16-mixed", "accumulate_grad_batches": 2, "callbacks": []}
    run = train(LightGCN.from_data(data, **init_args), data, name="one", lr=0.01, trainer=trainer, init_args=init_args)
    config = config_of(run)
    assert config["model"] == {"class_path": "drepm_pyg.models.LightGCN", "init_args": init_args}
    asked = {"lr": 0.01, "ks": [1, 5], "max_epochs": 1, "root": str(tmp_path), "name": "one"}
    assert {name: config[name] for name in asked} == asked
    assert config["trainer"] == {"precision": "bf16-mixed", "accumulate_grad_batches": 2}
    assert not {"data", "compile"} & set(config)


def test_the_config_says_what_compiled_the_loss(train: Train) -> None:
    data = toy.toy_data()
    assert config_of(train(MostPopular.from_data(data), data, compile="inductor"))["compile"] == "inductor"


def test_a_config_without_init_args_names_no_model(train: Train) -> None:
    """Its defaults would be another model."""
    data = toy.toy_data()
    assert "model" not in config_of(train(MostPopular.from_data(data), data))


def test_alignment_stands_beside_the_model(train: Train) -> None:
    data = toy.toy_data()
    init_args = {
        "model": {"class_path": "MGCN", "init_args": {"embedding_dim": 4}},
        "alpha": 0.1,
        "beta": 0,
        "gamma": 0,
    }
    config = config_of(train(WithBMA.from_data(data, **init_args), data, init_args=init_args))
    assert config["model"] == init_args["model"]
    assert config["bma"] == {"alpha": 0.1, "beta": 0, "gamma": 0}


def test_a_model_of_ones_own_takes_the_weights_of_its_run(train: Train) -> None:
    data = toy.toy_data()
    run = train(TwoTables.from_data(data), data, name="own", init_args={})
    twin = load_run(run.path, data, TwoTables.from_data(data))
    assert torch.equal(twin.user.weight, run.model.user.weight)
    assert not twin.training


@pytest.mark.errors
def test_a_model_that_cannot_be_built_is_asked_for(train: Train) -> None:
    data = toy.toy_data()
    run = train(TwoTables.from_data(data), data, name="own", init_args={})
    with pytest.raises(
        ValueError, match=r"is of TwoTables, which is no model of the library\. .* load_run\(folder, data"
    ):
        load_run(run.path, data)
    run = train(MostPopular.from_data(data), data)
    with pytest.raises(ValueError, match=r"does not say how its model is built\. .* load_run\(folder, data, model\)"):
        load_run(run.path, data)


@pytest.mark.errors
def test_a_run_is_loaded_with_the_data_it_was_trained_on_alone(train: Train) -> None:
    data = toy.toy_data()
    path = train(MostPopular.from_data(data), data, init_args={}).path
    assert isinstance(load_run(path, data), MostPopular)
    with pytest.raises(ValueError, match=r"is not what the run in .* was trained on \(fingerprint \w+, the run has"):
        load_run(path, toy.toy_data(seed=5))


@pytest.mark.errors
def test_a_folder_without_a_finished_run_has_no_result(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the run is not finished"):
        read_result(tmp_path)


@pytest.mark.errors
@pytest.mark.parametrize("content", [b"{}", b"[]", b"5", b"\xff\xfe", b"{"])
def test_what_is_no_result_is_not_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"result.json' is no (result of a run|JSON)"):
        read_result(tmp_path)


@pytest.mark.errors
def test_weights_that_are_gone_are_named(train: Train) -> None:
    data = toy.toy_data()
    path = train(LightGCN.from_data(data, embedding_dim=4), data, init_args={"embedding_dim": 4}).path
    (path / "best.safetensors").unlink()
    with pytest.raises(CorruptFileError, match=r"'best.safetensors' is missing in '.*'\. Put it back"):
        load_run(path, data)


@pytest.mark.errors
def test_weights_of_another_model_are_told_in_a_line(train: Train) -> None:
    data = toy.toy_data()
    path = train(LightGCN.from_data(data, embedding_dim=4), data, init_args={"embedding_dim": 4}).path
    wide = LightGCN.from_data(data, embedding_dim=8)
    text = (
        r"best.safetensors' does not hold the weights of this LightGCN \(2 differ: \['encoder.item_embedding.weight', "
    )
    with pytest.raises(CorruptFileError, match=text):
        load_run(path, data, wide)


def test_metrics_are_read_by_the_name_of_their_file(train: Train, tmp_path: Path) -> None:
    assert read_metrics(str(tmp_path / "metrics.csv")) == []
    data = toy.toy_data()
    run = train(LightGCN.from_data(data, embedding_dim=4), data)
    assert len(read_metrics(f"{run.path}/metrics.csv")) == 1


@pytest.mark.parametrize(("write", "name"), [(write_config, "config.yaml"), (write_result, "result.json")])
def test_a_file_that_cannot_be_written_whole_stays_as_it_was(
    write: Callable[[Path, dict[str, Any]], None], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"seed": 1})
    before = (tmp_path / name).read_text()

    def fill_the_disk(file: Path, text: str) -> None:
        file.write_bytes(text.encode()[:3])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, {"seed": 2})
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, before)]


@pytest.mark.errors  # to a type checker NumPy's numbers are none of Python's
def test_numbers_of_numpy_are_written_as_pythons(train: Train) -> None:
    np = pytest.importorskip("numpy")
    data = toy.toy_data()
    given = {"seed": np.int64(3), "lr": np.float32(0.5), "lr_decay": np.float64(0.5), "ks": (np.int64(5),)}
    given |= {"max_epochs": np.int32(1), "batch_size": np.int64(16), "patience": np.uint8(3)}
    plain = {"seed": 3, "lr": 0.5, "lr_decay": 0.5, "ks": [5], "max_epochs": 1, "batch_size": 16, "patience": 3}
    run = train(LightGCN.from_data(data, embedding_dim=4), data, **given)
    config, settings = config_of(run), json.loads((run.path / "result.json").read_text())["settings"]
    for name, value in plain.items():
        assert config[name] == settings[name] == value
    asked = {"max_epochs": np.int64(1), "lr": np.float64(0.5)}
    assert config_of(train(MostPopular.from_data(data), data, config=asked)) == {"max_epochs": 1, "lr": 0.5}
