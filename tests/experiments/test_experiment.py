"""A run as data: what it is asked for is what its folder says, and what comes back from there."""

from pathlib import Path

import pytest
import torch
import yaml
from torch_geometric.data import HeteroData

from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.experiments import Experiment, load_trained

QUICK = {"max_epochs": 1, "batch_size": 512, "progress": False}


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return SyntheticMultimodal(num_users=60, num_items=40, seed=0)[0]


def experiment(**options: object) -> Experiment:
    model = {"class_path": "BPR", "init_args": {"embedding_dim": 8}}
    return Experiment.from_config({"model": model, "data": "synthetic", **QUICK, **options})


def test_the_seed_of_a_call_is_that_of_the_weights(data: HeteroData, tmp_path: Path) -> None:
    """With a learning rate of nearly 0 the weights stay where the seed put them."""
    weights = {
        seed: experiment(lr=1e-12).run(data, seed=seed, root=tmp_path, name=str(seed)).model.state_dict()
        for seed in (0, 1)
    }
    torch.manual_seed(1)
    drawn = experiment(seed=1).build(data).state_dict()
    for name, weight in weights[1].items():
        assert torch.allclose(weight, drawn[name], atol=1e-6)
        assert not torch.allclose(weight, weights[0][name], atol=1e-3)


def test_the_config_of_a_run_is_what_was_asked_for(data: HeteroData, tmp_path: Path) -> None:
    run = experiment(lr=0.1).run(data, root=tmp_path, name="folder/run", seed=3, lr=0.01, resume=True)
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    asked = {"root": str(tmp_path), "name": "folder/run", "seed": 3, "lr": 0.01, "max_epochs": 1}
    assert {name: config[name] for name in asked} == asked
    assert "resume" not in config
    again = Experiment.from_config({**config, "name": "again"}).run(data)
    assert again.metrics == run.metrics


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".parquet"])
def test_ready_made_graphs_come_back_from_the_flat_form(suffix: str) -> None:
    config = {"model": "FREEDOM", "data": "synthetic", "graphs": {"k": 5, "image": f"some/graph{suffix}"}}
    found = Experiment.from_config(config)
    assert found.graphs.files == {"image": f"some/graph{suffix}"}
    assert Experiment.from_config(found.to_config()).graphs == found.graphs


def test_a_run_is_loaded_with_its_data(tmp_path: Path) -> None:
    run = experiment().run(root=tmp_path, name="run")
    model, found = load_trained(run.path)
    for name, weight in run.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    assert found["user"].num_nodes == model.num_users
