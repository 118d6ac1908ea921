"""``drepm fit``: a mistake is told in the words of somebody who types, with the option as it is typed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from drepm_pyg.cli import main
from drepm_pyg.graph import write_graph
from drepm_pyg.training.trainer_options import OWN

DREPMREC = ["--model", "DRepMRec"]
MODELS = "BM3, BPR, DRepMRec, DualGNN, FREEDOM, ItemKNN, LightGCN, MGCN, MMGCN, MostPopular, VBPR"

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """What ``drepm fit`` says to arguments, or to a file; it must fail with the status."""

    def say(given: list[str] | str, status: int = 2) -> str:
        (tmp_path / "run.yaml").write_text(given if isinstance(given, str) else "{}")
        arguments = ["--config", str(tmp_path / "run.yaml"), "--data", "synthetic", "--root", str(tmp_path / "runs")]
        assert main(["fit", *arguments, *([] if isinstance(given, str) else given)]) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()[-1:]
        assert line.startswith("drepm fit: error: ")
        return line.removeprefix("drepm fit: error: ")

    return say


@pytest.mark.errors
@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("gama", "3", "'--model.gama' is no argument of DRepMRec, which takes embedding_dim, num_layers, "),
        ("gama", "3", "Did you mean gamma? 'drepm fit --model.help DRepMRec' describes them."),
        ("gamma", "x", "'--model.gamma' must be a number (got 'x')."),
        ("num_layers", "1.5", "'--model.num_layers' must be a whole number (got '1.5')."),
        ("weights", "0.4", "'--model.weights' must be a mapping such as '{name: value}' (got '0.4')."),
        ("weights", "{text: a}", "'--model.weights' must hold a number (got 'a')."),
        ("config", "x", "'--model.config' is no argument of DRepMRec"),
    ],
)
def test_arguments_of_the_model(option: str, value: str, text: str, refused: Refused) -> None:
    assert text in refused([*DREPMREC, f"--model.{option}", value])
    assert text in refused(f"model: {{class_path: DRepMRec, init_args: {{{option}: {value}}}}}")


@pytest.mark.errors
def test_arguments_of_no_model(refused: Refused) -> None:
    assert "'--model' must stand before '--model.gamma'." in refused(["--model.gamma", "1", *DREPMREC])


@pytest.mark.errors
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "LightGCNN",
            f"'--model' must be one of {MODELS}, or the path of a class (got 'LightGCNN'). Did you mean Light",
        ),
        ("lightgcn", "(got 'lightgcn'). Did you mean LightGCN?"),
        ("drepm_pyg.models.LightGNC", "(got 'drepm_pyg.models.LightGNC'). Did you mean LightGCN?"),
        ("nosuch.LightGCN", "must be the path of a model's class (got 'nosuch.LightGCN': No module named 'nosuch')."),
        ("pathlib.Path", "'--model' must be the path of a model's class (got 'pathlib.Path': "),
    ],
)
def test_models_that_there_are_not(name: str, text: str, refused: Refused) -> None:
    for given in (["--model", name], [f"--model={name}"], f"model: {name}", f"model: {{class_path: {name}}}"):
        told = refused(given)
        assert text in told
        assert "Union" not in told


@pytest.mark.errors
@pytest.mark.parametrize(("option", "value"), [("ks", "5,20"), ("metrics", "recall")])
def test_what_is_no_list(option: str, value: str, refused: Refused) -> None:
    text = f"'--{option}' must be a list such as '[one, other]' (got '{value}')."
    assert text in refused([*DREPMREC, f"--{option}", value])


@pytest.mark.errors
@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("bma: 0.1", "'--bma' must be a mapping such as '{name: value}' (got '0.1')."),
        ("graphs: 5", "'--graphs' must be a mapping such as '{name: value}' (got '5')."),
        ("trainer: 5", "'--trainer' must be a mapping such as '{name: value}' (got '5')."),
        ("name: 5", "'--name' must be a text (a number in quotes) (got '5')."),
        (
            "modalities: {text: 1}",
            "'--modalities' must be a list such as '[one, other]' or a text (a number in quotes) (got '{'text': 1}').",
        ),
    ],
)
def test_values_of_another_form_in_a_file(option: str, text: str, refused: Refused) -> None:
    assert refused(f"model: VBPR\n{option}").startswith(text)


@pytest.mark.errors
@pytest.mark.parametrize("value", ["5", "[LightGCN]"])
def test_what_is_no_name_of_a_model(value: str, refused: Refused) -> None:
    assert refused(f"model: {value}").startswith("'--model' must be the name of a model, such as LightGCN (got '")


@pytest.mark.errors
@pytest.mark.parametrize("group", ["graphs", "bma", "trainer"])
def test_a_group_of_options_that_is_no_mapping(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--model", "VBPR", "--data", "synthetic", f"--{group}", "{k:5}"]) == 2
    assert f"error: '--{group}' must be a mapping such as '{{name: value}}' (got '{{k:5}}')." in capsys.readouterr().err


@pytest.mark.errors
def test_a_file_of_options_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "nowhere.yaml"]) == 2
    assert "'--config' cannot be used ('nowhere.yaml': No such file or directory)." in capsys.readouterr().err


@pytest.mark.errors
@pytest.mark.parametrize(
    ("option", "value"), [("text", "shop/text_feat.npy"), ("text", "g4.txt"), ("kk", "5"), ("loops", "true")]
)
def test_what_is_no_file_of_a_graph(option: str, value: str, refused: Refused) -> None:
    expected = f"'--graphs.{option}' must be the file of a graph, which ends in .npz, .pt or .parquet (got '{value}')"
    for given in (
        [*DREPMREC, f"--graphs.{option}", value],
        [*DREPMREC, f"--graphs.{option}={value}"],
        f"{{model: DRepMRec, graphs: {{{option}: '{value}'}}}}",
    ):
        told = refused(given)
        assert expected in told
        assert "k, loop, metric, return_weight, weight" in told


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model", "BPR", "--graphs.k", "3"], "'--graphs.k' is for the similarity graphs, and BPR reads none."),
        ([*DREPMREC, "--graphs.weight", "w"], "'--graphs.weight' is for the files of graphs, and none is given."),
        (
            ["--model", "VBPR", "--bma.temperature", "0.5"],
            "'--bma.temperature' is read only beside '--bma.alpha', ",
        ),
    ],
)
def test_options_that_nothing_reads(arguments: list[str], text: str, refused: Refused) -> None:
    assert text in refused(arguments, status=1)


@pytest.mark.errors
def test_a_path_that_cannot_be_written_is_told_with_its_option(
    refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    taken = str(tmp_path / "file")
    assert refused(["--model", "BPR", "--root", taken], status=1).startswith(f"'--root' cannot be used ('{taken}")
    assert main(["demo", "--offline", "--short", "--root", taken]) == 1
    assert f"drepm demo: error: '--root' cannot be used ('{taken}" in capsys.readouterr().err


@pytest.mark.errors
def test_a_misspelt_modality_of_a_graph(refused: Refused, tmp_path: Path, written: Callable[..., Path]) -> None:
    graph = str(tmp_path / "graph.npz")
    write_graph(graph, torch.tensor([[0, 1], [1, 0]]))
    told = refused(["--model", "FREEDOM", "--data", str(written()), "--graphs.txt", graph], status=1)
    assert "'txt'" in told


@pytest.mark.parametrize("command", ["fit", "sweep"])
def test_help_is_plain_text(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "`" not in told
    assert ":class:" not in told
    assert ("WithBMA adds to the loss" if command == "fit" else '"tpe" (a tree of Parzen estimators') in told


def test_what_fit_sets_by_itself_is_no_option_of_the_trainer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help"]) == 0
    told = capsys.readouterr().out
    assert "--trainer.accelerator" in told
    assert [name for name in (*OWN, "callbacks") if f"--trainer.{name} " in told] == []
