"""Every example runs as it stands, on data that it makes itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


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
    assert all(len(path.read_text().splitlines()) <= 80 for path in EXAMPLES)
