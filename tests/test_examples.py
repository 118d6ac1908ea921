"""Every example runs as it stands, on data that it makes itself, and on a data set of one's own."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drepm_pyg.data import SyntheticMultimodal, validate, write_mmrec

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
TRAINING = [path for path in EXAMPLES if "--epochs" in path.read_text()]
KINDS = ("gaps", "image", "nothing")
NEEDS_FEATURES = {
    "bma_on_your_model": "error: '--data' must hold item features",
    "train_drepmrec": "data['item'] has no features to compare",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets by what the items have: two modalities of other number types, one with gaps; one; none."""
    root = tmp_path_factory.mktemp("data")
    for kind in KINDS:
        data = SyntheticMultimodal(num_users=60, num_items=40, seed=0)[0]
        if kind == "gaps":
            data["item"].image, data["item"].text = data["item"].image.double(), data["item"].text.half()
            data["item"].text[:5] = torch.nan
            data["item"].text_mask = torch.arange(40) >= 5
            assert all("float64" in warning for warning in validate(data))
        else:
            del data["item"].text
        if kind == "nothing":
            del data["item"].image
        write_mmrec(data, root / kind)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs_and_prints(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_examples_of_a_readable_length() -> None:
    assert {path.stem for path in EXAMPLES} >= {
        "bma_on_your_model",
        "compose_layers",
        "knn_graph_from_features",
        "train_drepmrec",
    }
    assert all(len(path.read_text().splitlines()) <= 84 for path in EXAMPLES)


@pytest.mark.parametrize("epochs", ["0", "1"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_a_training_example_takes_any_data_or_says_what_it_needs(
    path: Path, kind: str, epochs: str, folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", [path.name, "--data", str(folders / kind), "--epochs", epochs])
    if kind == "nothing" and path.stem in NEEDS_FEATURES:
        with pytest.raises((SystemExit, ValueError)) as error:
            runpy.run_path(str(path), run_name="__main__")
        assert NEEDS_FEATURES[path.stem] in f"{capsys.readouterr().err}{error.value}"
        return
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.strip()
    assert "nan" not in printed
