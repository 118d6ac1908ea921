"""The search for settings: what it chooses, what it shares with other processes, and what outlives a kill."""

import csv
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from torch_geometric.data import HeteroData

from drepm_pyg._checks import CorruptFileError, MissingExtraError
from drepm_pyg.cli import main
from drepm_pyg.data import read_mmrec, write_mmrec
from drepm_pyg.experiments import Experiment, GraphOptions, Sweep, load_trained, sweep
from drepm_pyg.models import BPR, LossOutput, Triples
from drepm_pyg.training import read_metrics

optuna = pytest.importorskip("optuna")
GRADED = "tests.experiments.graded.Graded"
LR = {"lr": [1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2]}


@pytest.fixture(scope="module")
def folder(written: Callable[..., Path]) -> Path:
    return written()


def search(folder: Path, root: Path, models: list[str], **options: Any) -> Sweep:
    quick = {"max_epochs": 2, "batch_size": 512, "prune_after": None, "cache": root.parent / "cache", "progress": False}
    return sweep(str(folder), models, root=root, **{**quick, **options})


def untimed(found: Sweep) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found.trials]


def qualities(found: Sweep) -> list[float]:
    return [json.loads(row["settings"])["init_args"]["quality"] for row in found.trials]


def test_every_model_gets_the_same_number_of_distinct_trials_and_the_best_is_written(
    folder: Path, tmp_path: Path
) -> None:
    found = search(folder, tmp_path / "sweep", ["BPR", "LightGCN"], trials=5, max_epochs=1)
    for name in ("BPR", "LightGCN"):
        rows = [row for row in found.trials if row["model"] == name]
        assert [row["trial"] for row in rows] == list(range(5))
        assert len({row["settings"] for row in rows}) == 5
        best = max(rows, key=lambda row: row["val/recall@20"])
        config = yaml.safe_load((found.path / f"{name}.yaml").read_text())
        chosen = Experiment.from_config(config)
        assert config == found.best[name].to_config()
        settings = json.loads(best["settings"])
        assert (chosen.model["init_args"], chosen.options["lr"]) == (settings["init_args"], settings["lr"])
        trial = json.loads((found.path / name / f"trial-{best['trial']:03d}" / "result.json").read_text())
        again = chosen.run(root=tmp_path / "again", name=name, progress=False)
        assert again.metrics == trial["metrics"]
    with (found.path / "trials.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["settings"] for row in written] == [row["settings"] for row in found.trials]
    assert not any("test" in name for name in written[0])
    assert [line.split(" | ")[0] for line in (found.path / "best.md").read_text().splitlines()[2:]] == [
        "| BPR     ",
        "| LightGCN",
    ]
    model, _ = load_trained(found.path / "BPR" / "trial-000")
    assert isinstance(model, BPR)


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", 12), ("random", 4), ("grid", 4)])
def test_a_search_depends_on_its_seed_and_a_longer_one_begins_with_it(
    folder: Path, tmp_path: Path, sampler: str, trials: int
) -> None:
    """The estimators come in after ten trials."""
    options = {"sampler": sampler, "max_epochs": 1}
    whole = untimed(search(folder, tmp_path / "whole", ["BPR"], trials=trials, **options))
    search(folder, tmp_path / "grown", ["BPR"], trials=trials - 1, **options)
    assert untimed(search(folder, tmp_path / "grown", ["BPR"], trials=trials, **options)) == whole
    other = untimed(search(folder, tmp_path / "other", ["BPR"], trials=2, seed=1, **options))
    assert [row["settings"] for row in other] != [row["settings"] for row in whole[:2]]


def test_numbers_of_numpy_are_numbers(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"trials": 1, "seed": 1, "max_epochs": 1, "prune_after": 1, "ks": [10, 20]}
    found = search(folder, tmp_path / "sweep", ["BPR"], **options)
    narrow = {**dict.fromkeys(options, np.int64(1)), "ks": [np.int64(10), np.int64(20)]}
    assert search(folder, tmp_path / "sweep", ["BPR"], **narrow).trials == found.trials


def test_a_grid_as_large_as_the_space_is_all_of_it(folder: Path, tmp_path: Path) -> None:
    found = search(folder, tmp_path / "sweep", ["BPR"], spaces={"BPR": LR}, trials=6, sampler="tpe", max_epochs=1)
    assert sorted(json.loads(row["settings"])["lr"] for row in found.trials) == LR["lr"]


def test_the_parzen_estimators_find_the_good_end(folder: Path, tmp_path: Path) -> None:
    spaces = {"Graded": {"init_args": {"quality": {"low": 0.0, "high": 60.0}}}}
    found = search(folder, tmp_path / "sweep", [GRADED], spaces=spaces, trials=18, max_epochs=1)
    tried = qualities(found)
    assert len(set(tried)) == 18
    assert statistics.median(tried[10:]) > 45  # the first ten are drawn at random, with median 30
    assert math.ceil(found.best["Graded"].model["init_args"]["quality"]) == math.ceil(max(tried))  # of 60 users


def test_a_trial_is_pruned_where_its_best_is_below_the_median_of_those_completed(folder: Path, tmp_path: Path) -> None:
    spaces = {"Graded": {"init_args": {"quality": list(range(0, 60, 4))}}}
    options = {"spaces": spaces, "trials": 12, "sampler": "random", "max_epochs": 4, "prune_after": 2}
    found = search(folder, tmp_path / "sweep", [GRADED], **options)
    completed: list[float] = []
    for quality, row in zip(qualities(found), found.trials, strict=True):
        pruned = len(completed) >= 5 and quality < statistics.median(completed)
        assert row["state"] == ("pruned" if pruned else "complete")
        assert row["epochs"] == (3 if pruned else 4)  # after epoch 2, the first that may be judged
        assert row["val/recall@20"] is not None
        if not pruned:
            completed.append(quality)
    assert len(completed) < 12
    assert found.table[0]["pruned"] == 12 - len(completed)
    again = search(folder, tmp_path / "sweep", [GRADED], **options)
    assert again.trials == found.trials


def test_the_choice_sees_validation_pairs_alone(folder: Path, tmp_path: Path) -> None:
    found = search(folder, tmp_path / "sweep", ["BPR", "LightGCN"], trials=3)
    data = read_mmrec(folder)
    store = data["user", "interacts", "item"]
    store.test_edge_label_index = store.test_edge_label_index[:, :0]
    write_mmrec(data, tmp_path / "blind")
    blind = search(tmp_path / "blind", tmp_path / "other", ["BPR", "LightGCN"], trials=3)
    assert untimed(blind) == untimed(found)
    assert {name: run.options["lr"] for name, run in blind.best.items()} == {
        name: run.options["lr"] for name, run in found.best.items()
    }


def test_a_search_that_was_stopped_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"trials": 3, "max_epochs": 3}
    whole = search(folder, tmp_path / "whole", ["BPR"], **options)
    loss, calls = BPR.loss, []

    def stop(self: BPR, data: HeteroData, batch: Triples) -> LossOutput:
        calls.append(batch)
        if len(calls) == 6:  # one step an epoch: the third epoch of the second trial
            raise KeyboardInterrupt
        return loss(self, data, batch)

    monkeypatch.setattr(BPR, "loss", stop)
    with pytest.raises(KeyboardInterrupt, match="Stopped; the same command goes on"):
        search(folder, tmp_path / "cut", ["BPR"], **options)
    with (tmp_path / "cut" / "trials.csv").open(newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["complete"]
    assert len(read_metrics(tmp_path / "cut" / "BPR" / "trial-001" / "metrics.csv")) == 2
    resumed = search(folder, tmp_path / "cut", ["BPR"], **options)
    assert len(calls) == 6 + 1 + 3  # that epoch again, and the third trial
    assert untimed(resumed) == untimed(whole)


def test_a_trial_belongs_to_one_process_and_to_the_next_where_that_one_ends(folder: Path, tmp_path: Path) -> None:
    from drepm_pyg.experiments.search.plan import SweepPlan
    from drepm_pyg.experiments.search.space import read_space
    from drepm_pyg.experiments.search.study import ModelStudy, open_storage

    options = {"monitor": "val/recall@20"}
    plan = SweepPlan(
        str(folder), None, GraphOptions(), options, {"BPR": read_space("BPR")}, 3, "tpe", None, 0, tmp_path, tmp_path
    )
    with open_storage(tmp_path) as storage:
        one, other = (ModelStudy(plan, "BPR", storage, "data") for _ in range(2))
        first, second, third = one.claim(), other.claim(), other.claim()
        assert [claim.number for claim in (first, second, third)] == [0, 1, 2]
        assert one.claim() is None
        second.lock.release()  # as the system does for a process that was killed
        again = one.claim()
        assert (again.number, again.settings) == (1, second.settings)
        assert other.claim() is None
        again.lock.release()
        one.study.tell(again.trial, state=optuna.trial.TrialState.FAIL)
        one.study.enqueue_trial({}, user_attrs={"trial": again.trial.user_attrs["trial"]})
        one.study.ask()  # killed again, before its point was written down
        last = other.claim()
        assert (last.number, last.settings) == (1, second.settings)


@pytest.mark.slow
def test_two_processes_share_a_study(folder: Path, tmp_path: Path) -> None:
    alone = search(folder, tmp_path / "alone", ["BPR", "LightGCN"], trials=2, sampler="random")
    shared = search(folder, tmp_path / "shared", ["BPR", "LightGCN"], trials=2, sampler="random", jobs=2)
    assert untimed(shared) == untimed(alone)


@pytest.mark.slow
def test_a_killed_command_goes_on(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "drepm_pyg.cli", "sweep", "--data", str(folder)]
    command += ["--models", "BPR", "--trials", "2", "--max_epochs", "40", "--patience", "40", "--batch_size", "64"]
    command += ["--format", "json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}

    def start(name: str) -> subprocess.Popen[str]:
        root = ["--root", str(tmp_path / name), "--cache", str(tmp_path / "cache")]
        return subprocess.Popen([*command, *root], env=environment, stdout=subprocess.PIPE, text=True)

    whole = start("whole")
    killed, metrics = start("killed"), tmp_path / "killed" / "BPR" / "trial-001" / "metrics.csv"
    for _ in range(6000):
        if len(read_metrics(metrics)) >= 3:
            break
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    tables = [json.loads(process.communicate()[0]) for process in (whole, start("killed"))]
    for (row,) in tables:
        del row["seconds"]
    assert tables[0] == tables[1]


def test_a_loss_that_is_not_finite_fails_its_trial_alone(folder: Path, tmp_path: Path) -> None:
    spaces = {"Graded": {"init_args": {"quality": [30], "broken": [False, True]}}}
    found = search(folder, tmp_path / "sweep", [GRADED], spaces=spaces, trials=2)
    states = {json.loads(row["settings"])["init_args"]["broken"]: row["state"] for row in found.trials}
    assert states == {False: "complete", True: "failed"}
    (error,) = [row["error"] for row in found.trials if row["error"]]
    assert error.startswith("The loss is not finite in epoch 0")
    assert found.best["Graded"].model["init_args"]["broken"] is False


def test_what_is_written_is_what_fit_takes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["sweep", "--data", str(folder), "--models", "LightGCN,DRepMRec", "--trials", "2", "--max_epochs", "1"]
    place = ["--root", str(tmp_path / "sweep"), "--cache", str(tmp_path / "cache"), "--graphs.k", "4"]
    assert main([*arguments, *place, "--format", "json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in table] == ["LightGCN", "DRepMRec"]
    fit = ["fit", "--config", str(tmp_path / "sweep" / "DRepMRec.yaml"), "--root", str(tmp_path), "--name", "best"]
    assert main([*fit, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["val/recall@20"] == table[1]["val/recall@20"]
    config = yaml.safe_load((tmp_path / "best" / "config.yaml").read_text())
    assert config["graphs"]["k"] == 4
    assert config["model"]["init_args"]["alpha"] == table[1]["settings"]["init_args"]["alpha"]


def test_a_space_of_ones_own_goes_before_the_library_s(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "BPR.yaml").write_text("lr: [1e-3, 2e-3]\nlr_decay: 0.9\n")
    found = search(folder, tmp_path / "sweep", ["BPR"], spaces=tmp_path / "spaces", trials=2, max_epochs=1)
    assert found.best["BPR"].options["lr_decay"] == 0.9
    assert sorted(json.loads(row["settings"])["lr"] for row in found.trials) == [1e-3, 2e-3]


def test_the_weights_of_an_added_alignment_are_settings_too(folder: Path, tmp_path: Path) -> None:
    spaces = {"VBPR": {"bma": {"alpha": [1e-3, 1e-2], "gamma": 0.1}}}
    found = search(folder, tmp_path / "sweep", ["VBPR"], spaces=spaces, trials=2, max_epochs=1)
    assert {json.loads(row["settings"])["bma"]["alpha"] for row in found.trials} == {1e-3, 1e-2}
    assert found.best["VBPR"].bma.gamma == 0.1
    assert "train/bma_intra" in read_metrics(found.path / "VBPR" / "trial-000" / "metrics.csv")[0]


@pytest.mark.errors
@pytest.mark.parametrize(
    ("models", "options", "text"),
    [
        (["LightGNC"], {}, r"'models' must be one of .* \(got 'lightgnc'\)"),
        ([], {}, "'models' must name at least one model"),
        (["BPR", "bpr"], {}, "'models' must name every model once"),
        (["MostPopular"], {}, "'MostPopular' has no search space"),
        (["BPR"], {"spaces": {"BPR": {"init_args": {"depth": [1, 2]}}}}, "'depth' is no argument of BPR"),
        (["BPR"], {"spaces": {"BPR": LR}, "trials": 7}, r"'trials' must be at most .* 'BPR', .* \(got 7 for 6\)"),
        (["BPR"], {"spaces": {"BPR": {"lr": {"low": 0.1, "high": 1.0}}}, "sampler": "grid"}, "A grid needs lists"),
        (["BPR"], {"sampler": "best"}, "'sampler' must be one of 'tpe', 'random', 'grid'"),
        (["BPR"], {"trials": 0}, "'trials' must be at least 1"),
        (["BPR"], {"seed": 2**64}, r"'seed' must be less than 2\*\*64"),
        (["BPR"], {"jobs": 0}, "'jobs' must be at least 1"),
        (["BPR"], {"prune_after": -1}, "'prune_after' must be at least 0"),
        (["BPR"], {"monitor": "test/recall@20"}, "'monitor' must be one of 'val/recall@10'"),
        (["FREEDOM"], {"graphs": GraphOptions(files={"txt": "t.npz"})}, r"'image', 'text' \(got 'txt'\)"),
    ],
)
def test_bad_calls_are_refused_before_anything_is_trained(
    folder: Path, tmp_path: Path, models: list[str], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        search(folder, tmp_path / "sweep", models, **options)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.errors
def test_another_search_in_the_same_place_is_refused(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "sweep"
    search(folder, root, ["BPR"], trials=1, max_epochs=1)
    stamp = (root / "trials.csv").read_bytes()
    for models, options, text in (
        (["BPR"], {"max_epochs": 2}, "max_epochs=2, was 1"),
        (["LightGCN"], {"max_epochs": 1, "seed": 3}, "BPR: seed=3, was 0"),
        (["BPR"], {"max_epochs": 1, "spaces": {"BPR": LR}}, r"space\.lr=\[.*\], was \["),
    ):
        with pytest.raises(ValueError, match=rf"holds the study of another search \(.*{text}.*choose another 'root'"):
            search(folder, root, models, trials=1, **options)
    assert (root / "trials.csv").read_bytes() == stamp
    assert sorted({row["model"] for row in search(folder, root, ["LightGCN"], trials=1, max_epochs=1).trials}) == [
        "BPR",
        "LightGCN",
    ]


@pytest.mark.errors
@pytest.mark.errors
@pytest.mark.parametrize("size", [10, 40_000])
def test_studies_that_were_cut_short_are_named(size: int, folder: Path, tmp_path: Path) -> None:
    study = search(folder, tmp_path / "sweep", ["BPR"], trials=1, max_epochs=1).path / "study.sqlite3"
    assert study.stat().st_size > size
    study.write_bytes(study.read_bytes()[:size])
    with pytest.raises(CorruptFileError, match=r"study.sqlite3' cannot be read .*Was it truncated\?"):
        search(folder, tmp_path / "sweep", ["BPR"], trials=1, max_epochs=1)


def test_a_model_that_no_settings_suit_is_named(folder: Path, tmp_path: Path) -> None:
    spaces = {"Graded": {"init_args": {"quality": [1, 2], "broken": True}}}
    with pytest.raises(
        ValueError, match="no trial of 'Graded' was completed, of 2 begun; trial 0: The loss is not fin"
    ):
        search(folder, tmp_path / "sweep", [GRADED], spaces=spaces, trials=2)


@pytest.mark.errors
def test_a_missing_optuna_names_the_extra(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r'A sweep needs the package .optuna.*pip install "drepm_pyg\[sweep\]"'):
        search(folder, tmp_path / "sweep", ["BPR"])


@pytest.mark.errors
def test_a_space_that_is_exhausted_ends_the_search(folder: Path, tmp_path: Path) -> None:
    whole = {"LightGCN": {"init_args": {"num_layers": {"low": 1, "high": 3}}}}
    with pytest.raises(ValueError, match=r"'trials' must be at most the number of points .* \(got 4 for 3\)"):
        search(folder, tmp_path / "whole", ["LightGCN"], spaces=whole, trials=4)
    narrow = {"BPR": {"lr": {"low": 0.1, "high": 0.10001}}}  # settings have four digits
    with pytest.raises(ValueError, match=r"The search space of 'BPR' has no point left that was not tried \(got 1 "):
        search(folder, tmp_path / "narrow", ["BPR"], spaces=narrow, trials=3, sampler="random", max_epochs=1)
