"""Every benchmark runs from end to end at toy size, and its tables say what they were made with."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drepm_pyg.models import LightGCN
from drepm_pyg.training import EpochTriples
from tests import toy

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(BENCHMARKS.glob("*.py"))


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The modules that the scripts share, imported as the scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import kit.growth
    import kit.memory
    import kit.peers
    import kit.report
    import kit.step
    import kit.timing

    return kit


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_runs_quickly_and_keeps_what_it_saw(script: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [sys.executable, str(script), "--quick", "--out", str(out)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content["machine"]["threads"] == 1
    assert content["tables"]
    for table in content["tables"].values():
        assert table["title"] in done.stdout
        assert table["command"] == f"python benchmarks/{script.name} --quick"
        assert table["rows"]


def test_the_exponent_of_a_power_is_its_exponent(kit: ModuleType) -> None:
    assert kit.growth.exponent([1, 10, 100], [3, 300, 30_000]) == 2
    assert kit.growth.exponent([1, 2, 4], [5, 5, 5]) == 0
    assert kit.growth.exponent([1], [5]) is None


def test_a_step_is_a_loss_and_an_update_by_its_gradients(kit: ModuleType) -> None:
    data = toy.toy_data()
    model = LightGCN.from_data(data, embedding_dim=4).eval()
    step = kit.step.Step(model, data, EpochTriples(data, batch_size=16))
    assert model.training
    before = step.loss()
    for _ in range(5):
        step()
    assert step.loss() < before


def test_peers_are_given_every_split_under_the_name_they_know(kit: ModuleType, tmp_path: Path) -> None:
    pairs = toy.toy_data()["user", "interacts", "item"]
    kit.peers.write_pairs(toy.toy_data(), tmp_path, "toy")
    splits = {"train": pairs.edge_index, "valid": pairs.val_edge_label_index, "test": pairs.test_edge_label_index}
    assert {path.name for path in (tmp_path / "toy").iterdir()} == {f"toy.{split}.inter" for split in splits}
    for split, expected in splits.items():
        header, *lines = (tmp_path / "toy" / f"toy.{split}.inter").read_text().splitlines()
        assert header == "user_id:token\titem_id:token"
        assert [[int(one) for one in line.split("\t")] for line in lines] == expected.T.tolist()


def test_calls_are_timed_in_turn(kit: ModuleType) -> None:
    order: list[str] = []
    times = kit.timing.compare({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2)
    assert order == ["a", "b", "a", "b", "a", "b"]  # the first of each warms up
    assert [len(timing.seconds) for timing in times.values()] == [2, 2]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark is Linux's")
def test_the_peak_of_a_call_is_what_it_held_at_once(kit: ModuleType) -> None:
    size = 64 * 2**20
    value, grown = kit.memory.peak_of(lambda: len(bytearray(b"x") * size))
    assert value == size
    assert 0.9 * size < grown < 1.5 * size


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("import os; os.abort()", "killed by signal 6"),
        ("", "exit status"),
    ],
)
def test_a_process_that_fails_becomes_a_note(kit: ModuleType, code: str, error: str) -> None:
    assert error in kit.memory.run_json([sys.executable, "-c", code])["error"]


def test_tables_of_other_parts_stay_in_the_file(
    kit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks/graph.py", "--rows", "items", "--out", "x.json"])
    args = argparse.Namespace(quick=False, out=tmp_path / "graph.json")
    kit.report.Report(args).table("items", "Items", [{"builder": "ours", "seconds": 1.0}])
    report = kit.report.Report(args)
    report.table("users", "Users", [{"builder": "ours", "seconds": 2.0}], exponents={"ours": 1.0})
    tables = json.loads(args.out.read_text())["tables"]
    assert list(tables) == ["items", "users"]
    assert tables["users"]["exponents"] == {"ours": 1.0}
    assert tables["items"]["command"] == "python benchmarks/graph.py --rows items"
    report.machine = report.machine | {"cores": 10_000}
    report.table("users", "Users", [{"builder": "ours", "seconds": 3.0}])
    assert list(json.loads(args.out.read_text())["tables"]) == ["users"]  # what another machine measured goes


@pytest.mark.parametrize(
    ("cell", "text"), [(1234567, "1,234,567"), (0.012345, "0.0123"), (1234.5, "1,234"), (None, ""), ("a", "a")]
)
def test_cells_show_three_digits_that_count(kit: ModuleType, cell: object, text: str) -> None:
    assert kit.report.shown(cell) == text
