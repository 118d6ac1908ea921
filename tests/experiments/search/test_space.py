"""Search spaces as data."""

import itertools
from pathlib import Path

import pytest

from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.search.space import SPACES, SearchSpace, read_space
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.models import available_models, get_model

TRAINED = [name for name in available_models() if get_model(name).trainable]


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_model_has_a_space_of_twenty_points_and_more(name: str) -> None:
    space = read_space(name)
    assert (SPACES / f"{get_model(name).__name__}.yaml").exists()
    assert space.size is not None
    assert space.size >= 20


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_ends_of_every_published_space_are_runs(path: Path) -> None:
    name = path.stem
    data = AddSimilarityGraphs(k=3, loop=True)(SyntheticMultimodal(num_users=30, num_items=20, seed=0)[0])
    space = read_space(name)
    for end in (0, -1):
        settings = space.settings({key: values[end] for key, values in space.varied.items()})
        run = {"model": {"class_path": name, "init_args": settings.pop("init_args")}, "data": "synthetic", **settings}
        assert Experiment.from_config(run).build(data).num_users == 30


def test_a_list_is_a_choice_bounds_are_numbers_between_them_and_the_rest_is_fixed() -> None:
    space = SearchSpace.from_config(
        "DRepMRec",
        {
            "init_args": {
                "num_layers": {"low": 1, "high": 4},
                "alpha": {"low": 1e-4, "high": 1e-1, "log": True},
                "weights": [None, {"image": 0.3, "text": 0.7}],
                "reg": 0.5,
            },
            "graphs": {"k": [5, 10]},
            "lr": {"low": 0.1, "high": 0.2},
        },
    )
    assert space.size is None
    points = [space.settings(point) for point in itertools.islice(space.draws("0"), 200)]
    assert {point["init_args"]["num_layers"] for point in points} == {1, 2, 3, 4}
    assert {str(point["init_args"]["weights"]) for point in points} == {"None", "{'image': 0.3, 'text': 0.7}"}
    assert {point["graphs"]["k"] for point in points} == {5, 10}
    assert {point["init_args"]["reg"] for point in points} == {0.5}
    assert all(0.1 <= point["lr"] <= 0.2 for point in points)
    alphas = sorted(point["init_args"]["alpha"] for point in points)
    assert 1e-4 <= alphas[0] < 3e-4
    assert 2e-3 < alphas[100] < 5e-3  # the middle of the log scale: 10 ** -2.5
    assert list(itertools.islice(space.draws("0"), 3)) == list(itertools.islice(space.draws("0"), 3))
    assert list(itertools.islice(space.draws("0"), 3)) != list(itertools.islice(space.draws("1"), 3))


def test_bounds_of_whole_numbers_have_so_many_points() -> None:
    layers = {"num_layers": {"low": 1, "high": 3}}
    assert SearchSpace.from_config("LightGCN", {"init_args": layers, "lr": [0.1, 0.2]}).size == 6
    assert SearchSpace.from_config("LightGCN", {"init_args": layers, "lr": {"low": 0.1, "high": 0.2}}).size is None


def test_a_grid_is_every_point_once() -> None:
    space = SearchSpace.from_config("BPR", {"init_args": {"reg": [0.1, 1.0]}, "lr": [1e-3, 1e-2, 1e-1]})
    points = [tuple(point.values()) for point in space.grid("0")]
    assert sorted(points) == sorted(itertools.product([0.1, 1.0], [1e-3, 1e-2, 1e-1]))
    assert space.size == len(points)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("model", "config", "text"),
    [
        (
            "BPR",
            {"init_args": {"num_layers": [1, 2]}},
            r"'num_layers' is no argument of BPR \(known: embedding_dim, reg",
        ),
        ("BPR", {"init_args": {"num_users": [1, 2]}}, "'num_users' is no argument of BPR"),
        ("BPR", {"init_args": [1, 2]}, r"'init_args' must be a mapping of arguments to values \(got \[1, 2\]\)"),
        ("BPR", {"seed": [1, 2]}, "'seed' cannot vary: a space has 'init_args', 'graphs', 'bma', 'batch_size', 'lr'"),
        ("BPR", {"graphs": {"k": [5, 10]}}, "'graphs.k' is for the similarity graphs, and BPR reads none"),
        ("DRepMRec", {"graphs": {"kk": [5, 10]}}, r"'kk' is no option of the graphs \(known: k, loop"),
        ("VBPR", {"bma": {"delta": [1, 2]}}, r"'delta' is no option of the alignment \(known: alpha, beta, gamma"),
        ("BPR", {"lr": []}, "'lr' has no values"),
        ("BPR", {"lr": [0.1, 0.1]}, "'lr' names a value twice"),
        ("BPR", {"lr": {"low": 0, "high": 1, "log": True}}, r"bounds of 'lr' must be numbers .* 0 < low < high"),
        ("BPR", {"lr": {"low": 2, "high": 1}}, "low < high"),
        ("BPR", {"lr": {"low": 1}}, r"bounds of 'lr' must be numbers 'low' and 'high' .* \(got \{'low': 1\}\)"),
        ("BPR", {"lr": 0.1}, r"there is nothing to choose \(got \{'lr': 0.1\}\)"),
        ("BPR", {"init_args": None}, "there is nothing to choose"),
    ],
)
def test_faults_are_named(model: str, config: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SearchSpace.from_config(model, config)


@pytest.mark.errors
def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(ValueError, match="The search space of 'BPR' has 2 faults"):
        SearchSpace.from_config("BPR", {"init_args": {"reggae": [1]}, "lr": []})


@pytest.mark.errors
def test_a_model_without_a_space_says_which_have_one() -> None:
    with pytest.raises(
        ValueError, match=r"'MostPopular' has no search space \(BM3, BPR, .*\)\. Write MostPopular.yaml"
    ):
        read_space("MostPopular")


def test_a_folder_that_lacks_the_model_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "BRP.yaml").write_text("lr: [0.1]")
    assert read_space("BPR", tmp_path) == read_space("BPR")
    assert "has no BPR.yaml: the library's own space is searched" in caplog.text
