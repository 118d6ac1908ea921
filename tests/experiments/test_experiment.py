"""A run as data: what it is asked for is what its folder says, and what comes back from there."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from torch_geometric.data import HeteroData

from drepm_pyg.cli import main
from drepm_pyg.data import SyntheticMultimodal, read_mmrec, write_mmrec
from drepm_pyg.experiments import Experiment, GraphOptions, load_trained
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.models import BPR, FREEDOM, MostPopular, RecommenderModel
from drepm_pyg.training import FitResult, fit, read_result

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


@pytest.mark.errors
def test_a_seed_that_torch_does_not_take_is_refused_before_the_data_are_read() -> None:
    config = {"model": "BPR", "data": "nowhere", "seed": 2**64}
    with pytest.raises(ValueError, match=r"'seed' must be less than 2\*\*64"):
        Experiment.from_config(config).run()


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


class Own(BPR):
    """A class that someone else wrote."""


def fitted(cls: type[RecommenderModel], data: HeteroData, root: Path, name: str) -> FitResult:
    init_args = {"embedding_dim": 8}
    return fit(cls.from_data(data, **init_args), data, root=root, name=name, init_args=init_args, **QUICK)


@pytest.fixture(scope="module")
def shop(data: HeteroData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "shop"
    write_mmrec(data, path)
    return path


def test_a_run_of_fit_is_used_by_the_command_line(shop: Path, tmp_path: Path) -> None:
    data = AddSimilarityGraphs(k=10, loop=True, nodes=("item",))(read_mmrec(shop))
    run = str(fitted(FREEDOM, data, tmp_path, "py").path)
    assert main(["evaluate", run, "--data", str(shop)]) == 0
    assert main(["recommend", run, "--data", str(shop), "--users", "0"]) == 0
    assert main(["fit", "--config", f"{run}/config.yaml", "--data", str(shop), "--name", "again"]) == 0
    model, _ = load_trained(tmp_path / "again")
    assert isinstance(model, FREEDOM)
    assert read_result(tmp_path / "again")["init_args"]["embedding_dim"] == 8


@pytest.mark.errors
def test_data_that_have_moved_can_be_named(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = tmp_path / "first"
    shutil.copytree(shop, first)
    assert main(["fit", "--model", "MostPopular", "--data", str(first), "--root", str(tmp_path), "--name", "run"]) == 0
    first.rename(tmp_path / "moved")
    assert main(["evaluate", str(tmp_path / "run")]) == 1
    assert (
        "which does not exist). Data that have moved are named by source=... (--data ...)." in capsys.readouterr().err
    )
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "moved")]) == 0
    assert main(["data", "validate", str(first)]) == 1
    assert "have moved" not in capsys.readouterr().err


def test_a_run_of_fit_goes_on_on_the_command_line(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fitted(BPR, read_mmrec(shop), tmp_path, "py").path
    words = ["fit", "--config", f"{run}/config.yaml", "--data", str(shop), "--resume", "true", "--max_epochs", "2"]
    assert main(words) == 0
    assert read_result(run)["epochs"] == 2
    assert main([*words, "--model.reg", "0.3"]) == 1
    assert "(got init_args.reg=0.3, was 0.1)" in capsys.readouterr().err


def test_a_model_of_ones_own_is_loaded_with_its_data(shop: Path, tmp_path: Path) -> None:
    run = fitted(Own, read_mmrec(shop), tmp_path, "own")
    model, _ = load_trained(run.path, source=str(shop))
    assert isinstance(model, Own)
    for name, weight in run.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)


@pytest.mark.errors
def test_what_lightning_does_not_know_is_said_before_the_data_are_read() -> None:
    config = {"model": "BPR", "data": "no/such/folder", "trainer": {"max_step": 1}}
    with pytest.raises(ValueError, match=r"'trainer' must name arguments of lightning\.Trainer \(got \['max_step'\]\)"):
        Experiment.from_config(config).run()


@pytest.mark.errors
def test_a_ready_made_graph_of_no_modality_is_refused(data: HeteroData, tmp_path: Path) -> None:
    graph = tmp_path / "graph.pt"
    torch.save({"edge_index": torch.tensor([[0, 1], [1, 0]])}, graph)
    asked = GraphOptions(k=3, files={"txt": str(graph)})
    with pytest.raises(ValueError, match=r"'a modality in graphs' must be one of 'image', 'text' \(got 'txt'\)"):
        asked.add(copy.copy(data), ("item",))
    bare = copy.copy(data)
    del bare["item"].image, bare["item"].text
    assert asked.add(bare, ("item",))["item", "similar_txt", "item"].edge_index.size(1) == 2


@pytest.mark.errors
def test_a_run_that_lacks_its_data_or_its_model_says_what_to_pass(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = read_mmrec(shop)
    run = fitted(BPR, data, tmp_path, "py").path
    assert main(["evaluate", str(run)]) == 1
    assert "A run must say its 'data' (got" in (said := capsys.readouterr().err)
    assert "'--data'" in said
    run = fit(MostPopular.from_data(data), data, root=tmp_path, name="unknown", **QUICK).path
    with pytest.raises(ValueError, match=r"A run must say its 'model' .* 'init_args'"):
        load_trained(run, source=str(shop))
