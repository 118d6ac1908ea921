"""Tables and figures from nothing: each run once, failures told, pictures drawn, everything on one page."""

import csv
import html
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch_geometric.data import HeteroData

from drepm_pyg.cli import main
from drepm_pyg.data import SyntheticMultimodal, write_mmrec
from drepm_pyg.experiments import Experiment, Reproduction, load_trained, reproduce
from drepm_pyg.experiments.reproduction import schedule
from drepm_pyg.experiments.reproduction.identity import identity
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.remaining import Remaining
from drepm_pyg.training import read_metrics
from drepm_pyg.training.checkpoint import RunCheckpoint
from drepm_pyg.training.run import write_config

pytest.importorskip("matplotlib")
EPOCHS = {"max_epochs": 2, "batch_size": 512}


@pytest.fixture(scope="module")
def folder(written: Callable[..., Path]) -> Path:
    return written("baby-toy", num_users=50)


def own(tmp_path: Path, **content: object) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"kind": "table", **content}, sort_keys=False))
    return path


def make(name: str | Path, folder: Path, root: Path, **options: Any) -> Reproduction:
    plain = {"cache": root / "cache", "overrides": EPOCHS, "progress": False}
    return reproduce([name], str(folder), root=root, **{**plain, **options})


def stamps(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted((root / "runs").rglob("*")) if path.is_file()}


def test_a_second_call_trains_nothing_and_gives_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own(tmp_path, rows=["BPR", "LightGCN"], metrics=["recall@20"])
    first = make(path, folder, tmp_path, seeds=2)
    before = stamps(tmp_path)
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 4
    monkeypatch.setattr(schedule, "train_run", lambda *_, **__: pytest.fail("something was trained"))
    second = make(path, folder, tmp_path, seeds=2)
    assert second.outputs[0].records == first.outputs[0].records
    assert stamps(tmp_path) == before


def test_numbers_of_numpy_are_numbers(folder: Path, tmp_path: Path) -> None:
    """The same runs, and commands that the report can print."""
    path = own(tmp_path, rows=["BPR"], metrics=["recall@20"])
    options: dict[str, Any] = {"root": tmp_path, "cache": tmp_path / "cache", "report": True, "progress": False}
    reproduce([path], str(folder), seeds=2, overrides={"max_epochs": 2}, **options)
    before = stamps(tmp_path)
    made = reproduce([path], str(folder), seeds=np.int64(2), overrides={"max_epochs": np.int64(2)}, **options)
    assert stamps(tmp_path) == before
    assert made.report is not None
    assert "--seeds 2" in made.report.read_text()


def test_the_table_is_the_mean_of_the_runs_own_results(folder: Path, tmp_path: Path) -> None:
    made = make(own(tmp_path, rows=["BPR"], metrics=["recall@20"]), folder, tmp_path, seeds=3)
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/result.json")]
    values = [result["metrics"]["test/recall@20"] for result in results]
    (record,) = made.outputs[0].records
    assert sorted(result["seed"] for result in results) == [0, 1, 2]
    assert record["mean"] == pytest.approx(np.mean(values), abs=1e-7)
    assert record["deviation"] == pytest.approx(np.std(values, ddof=1), abs=1e-7)
    assert f"{record['mean']:.4f} ± {record['deviation']:.4f}" in (made.folder / "mine.md").read_text()
    with (made.folder / "mine.csv").open() as file:
        assert float(next(csv.DictReader(file))["mean"]) == pytest.approx(record["mean"])
    assert r"\toprule" in (made.folder / "mine.tex").read_text()


def test_experiments_share_runs_and_more_is_watched_at_once(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"root": tmp_path, "cache": tmp_path / "cache", "overrides": EPOCHS, "progress": False}
    reproduce(["figure5", "figure6", "figure1a"], str(folder), **options)
    runs = sorted(re.sub("-[0-9a-f]{12}", "", path.name) for path in (tmp_path / "runs").iterdir())
    # DRepMRec once for all three figures, once without the signal.
    assert runs == ["drepmrec-gradients-lines", "drepmrec-lines", "mgcn-gradients"]
    before = stamps(tmp_path)
    reproduce(["figure5"], str(folder), **options)
    assert stamps(tmp_path) == before
    rows = read_metrics(next((tmp_path / "runs").glob("mgcn-*")) / "gradients.csv")
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    for row in rows:
        counted = sum(int(row[f"user/bin{place}"]) for place in range(40))
        assert counted == int(row["user/nodes"])
        assert -1 <= float(row["user/cosine"]) <= 1


def test_a_table_is_the_same_whatever_is_asked_for_beside_it(folder: Path, tmp_path: Path) -> None:
    """Two trainings of one run may differ in their last bits; here by hand, as these do not."""
    path, results = own(tmp_path, rows=["MGCN"]), tmp_path / "kept"
    options: dict[str, Any] = {"cache": tmp_path / "cache", "overrides": EPOCHS, "progress": False}
    alone = reproduce([path], str(folder), root=tmp_path / "one", results=results, **options)
    reproduce(["figure1a"], str(folder), root=tmp_path / "two", **options)
    (watched,) = (tmp_path / "two" / "runs").glob("mgcn-*-gradients")
    with np.load(watched / "users.npz") as arrays:
        np.savez_compressed(watched / "users.npz", **{name: arrays[name] * 0.9 for name in arrays.files})
    both = reproduce([path, "figure1a"], str(folder), root=tmp_path / "two", results=results, **options)
    assert both.outputs[0].records == alone.outputs[0].records
    assert both.failures == []


def test_what_cannot_be_made_any_more_does_not_stay(folder: Path, tmp_path: Path) -> None:
    path = own(tmp_path, rows=["BPR", "LightGCN"])
    made = make(path, folder, tmp_path)
    assert {"mine.tex", "mine.tests.csv"} < {file.name for file in made.folder.iterdir()}
    make(own(tmp_path, rows=["BPR"], set={"lr": 1e30, "batch_size": 64}), folder, tmp_path)
    assert {file.name for file in made.folder.iterdir()} == {"mine.md", "mine.csv"}


def test_words_and_numbers_are_a_field_too(folder: Path, tmp_path: Path) -> None:
    vary = {"model.init_args.readout": ["mean", "sum"], "lr": [0.001, 0.01]}
    made = make(own(tmp_path, kind="sweep", rows=["LightGCN"], vary=vary, metrics=["ndcg@20"]), folder, tmp_path)
    assert made.failures == []
    assert made.outputs[0].records[2]["point"] == "sum, 0.001"


def test_a_run_that_fails_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    rows = {"good": "BPR", "bad": {"model": "BPR", "set": {"lr": 1e30, "batch_size": 64}}, "last": "LightGCN"}
    made = make(own(tmp_path, rows=rows), folder, tmp_path)
    seeds = {record["row"]: record["seeds"] for record in made.outputs[0].records}
    assert seeds == {"good": 1, "bad": 0, "last": 1}
    (failure,) = made.failures
    assert failure.startswith("bad, seed 0: FloatingPointError: The loss is not finite")
    table = (made.folder / "mine.md").read_text()
    assert re.search(r"\| bad +\| failed \|", table)
    assert "FAILED, bad" in table


def test_what_failed_at_which_point_is_told_where_everything_failed(folder: Path, tmp_path: Path) -> None:
    content: dict[str, Any] = {"vary": {"lr": [1e30, 2e30]}, "set": {"batch_size": 64}}
    made = make(own(tmp_path, kind="sweep", rows=["BPR"], **content), folder, tmp_path)
    assert [failure.partition(":")[0] for failure in made.failures] == ["BPR 1e+30, seed 0", "BPR 2e+30, seed 0"]


def test_a_killed_call_goes_on_with_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    path = own(tmp_path, rows=["LightGCN"])
    whole = make(path, folder, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        keep = RunCheckpoint.on_train_epoch_end

        def stop(*arguments: Any) -> None:
            keep(*arguments)
            raise KeyboardInterrupt

        patch.setattr(RunCheckpoint, "on_train_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
            make(path, folder, tmp_path / "cut")
    (metrics,) = tmp_path.glob("cut/runs/*/metrics.csv")
    assert len(read_metrics(metrics)) == 1
    again = make(path, folder, tmp_path / "cut")
    assert again.outputs[0].records == whole.outputs[0].records


def test_alignment_is_trained_kept_and_read_back(folder: Path, tmp_path: Path) -> None:
    rows = {"VBPR": "VBPR", "VBPR + BMA": {"model": "VBPR", "set": {"bma.alpha": 5.0, "bma.gamma": 1.0}}}
    made = make(own(tmp_path, rows=rows), folder, tmp_path)
    plain, aligned = (record["mean"] for record in made.outputs[0].records if record["metric"] == "ndcg@20")
    assert plain != aligned
    run = next(p.parent for p in tmp_path.glob("runs/*/config.yaml") if "bma" in yaml.safe_load(p.read_text()))
    model, data = load_trained(run)
    assert type(model).__name__ == "WithBMA"
    assert model(data).behavior is not None
    assert set(read_metrics(run / "metrics.csv")[0]) >= {"train/bpr", "train/bma_intra", "train/bma_sss"}
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert Experiment.from_config(config).to_config() == config


def test_what_defines_a_run_is_in_its_name_and_nothing_else(folder: Path) -> None:
    config = {"model": {"class_path": "LightGCN"}, "data": str(folder)}

    def key(fingerprint: str = "f", **changes: object) -> str:
        return identity(Experiment.from_config({**config, **changes}), fingerprint)

    same = key()
    assert key(data="elsewhere", root="there", name="other", progress=False) == same
    assert key(lr=0.001, model={"class_path": "drepm_pyg.models.LightGCN", "init_args": {"num_layers": 3.0}}) == same
    assert key("other data") != same
    assert len({same, key(lr=0.01), key(seed=1), key(bma={"alpha": 1}), key(modalities=["text"])}) == 5


def test_a_run_goes_on_as_it_began_where_a_default_is_now_given(folder: Path, tmp_path: Path) -> None:
    def stopped(place: Place, data: HeteroData, **_: object) -> None:
        """Trained for one epoch of those that were asked for, and not recorded."""
        place.experiment.run(data, max_epochs=1)
        write_config(place.folder, place.experiment.to_config())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "train_run", stopped)
        make(own(tmp_path, rows=["LightGCN"]), folder, tmp_path)
    rows = {"LightGCN": {"model": "LightGCN", "set": {"model.init_args.num_layers": 3, "max_epochs": 2}}}
    made = make(own(tmp_path, rows=rows), folder, tmp_path)
    assert made.failures == []
    (metrics,) = tmp_path.glob("runs/*/metrics.csv")
    assert len(read_metrics(metrics)) == 2


def kept_files(folder: Path) -> dict[str, list[str]]:
    return {path.name.rpartition("-")[0]: sorted(file.name for file in path.iterdir()) for path in folder.iterdir()}


def test_kept_results_make_a_table_and_its_tests_again_without_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, results = own(tmp_path, rows=["BPR", "LightGCN"], metrics=["recall@20"]), tmp_path / "kept"
    first = make(path, folder, tmp_path / "one", seeds=2, results=results)
    assert kept_files(results) == {"bpr": (plain := ["config.yaml", "result.json", "users.npz"]), "lightgcn": plain}
    assert str(tmp_path) not in "".join(file.read_text() for file in results.glob("*/*.yaml"))  # nothing of the machine
    monkeypatch.setattr(schedule, "train_run", lambda *_, **__: pytest.fail("something was trained"))
    second = make(path, folder, tmp_path / "two", seeds=2, results=results)
    assert second.outputs[0].records == first.outputs[0].records
    assert second.outputs[0].tests == first.outputs[0].tests
    assert len(first.outputs[0].tests) == 1
    assert not (tmp_path / "two" / "runs").exists()


def test_more_seeds_add_to_the_kept_results(folder: Path, tmp_path: Path) -> None:
    path, results = own(tmp_path, rows=["BPR"]), tmp_path / "kept"
    make(path, folder, tmp_path / "one", results=results)
    made = make(path, folder, tmp_path / "two", seeds=3, results=results)
    assert made.outputs[0].records[0]["seeds"] == 3
    assert len(list((tmp_path / "two" / "runs").iterdir())) == 2  # the first seed stood among the results
    assert len(list(results.glob("*/result.json"))) == 3


def test_figures_are_drawn_from_kept_results(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    names, results = ["figure1a", "figure5", "figure6", "figure7"], tmp_path / "kept"
    options: dict[str, Any] = {"cache": tmp_path / "cache", "overrides": EPOCHS, "progress": False, "results": results}
    first = reproduce(names, str(folder), root=tmp_path / "one", **options)
    kept = [file.name for file in results.glob("*/*")]
    assert {"gradients.csv", "metrics.csv", "tsne-1000.npz"} < set(kept)
    assert "best.safetensors" not in kept
    monkeypatch.setattr(schedule, "train_run", lambda *_, **__: pytest.fail("something was trained"))
    second = reproduce(names, str(folder), root=tmp_path / "two", **options)
    for one, other in zip(first.outputs, second.outputs, strict=True):
        assert other.records == one.records
        assert (second.folder / f"{other.spec.name}.png").exists()


def test_a_kept_run_without_what_a_figure_needs_is_trained_again(folder: Path, tmp_path: Path) -> None:
    path, results = own(tmp_path, rows=["DRepMRec"]), tmp_path / "kept"
    make(path, folder, tmp_path / "one", results=results)
    made = make("figure5", folder, tmp_path / "two", results=results)  # its numbers are those of a table
    assert not (tmp_path / "two" / "runs").exists()
    assert {record["row"] for record in made.outputs[0].records} == {"behaviour", "modal", "general"}
    curve = own(tmp_path, kind="curve", rows=["DRepMRec"], columns={"loss": "train/loss"})
    make(curve, folder, tmp_path / "two", results=results)  # the epochs were not kept
    assert [run.name.rpartition("-")[2] for run in (tmp_path / "two" / "runs").iterdir()] == ["lines"]


@pytest.mark.errors
def test_a_kept_file_that_was_cut_short_is_named(folder: Path, tmp_path: Path) -> None:
    path, results = own(tmp_path, rows=["BPR"]), tmp_path / "kept"
    make(path, folder, tmp_path / "one", results=results)
    (users,) = results.glob("*/users.npz")
    users.write_bytes(users.read_bytes()[:100])
    made = make(path, folder, tmp_path / "two", results=results)
    assert re.search(r"users\.npz' cannot be read .*Was the file truncated", made.failures[0])


def test_what_holds_for_every_run_does_not_undo_what_a_row_is_about(folder: Path, tmp_path: Path) -> None:
    rows = {"DRepMRec": "DRepMRec", "W/O SSS": {"model": "DRepMRec", "set": {"model.init_args.gamma": 0}}}
    gamma = {"model.init_args.gamma": 0.3}
    make(own(tmp_path, rows=rows), folder, tmp_path, overrides={**EPOCHS, **gamma})
    trained = [yaml.safe_load(path.read_text())["model"]["init_args"] for path in tmp_path.glob("runs/*/config.yaml")]
    assert sorted(arguments["gamma"] for arguments in trained) == [0, 0.3]


def test_statistics_are_called_what_they_are(folder: Path, tmp_path: Path) -> None:
    made = make(own(tmp_path, kind="statistics", metrics=["items", "users"]), folder, tmp_path)
    assert {record["metric"]: record["mean"] for record in made.outputs[0].records} == {"items": 40, "users": 50}


def test_a_column_that_no_epoch_has_is_told(folder: Path, tmp_path: Path) -> None:
    path = own(tmp_path, kind="curve", rows=["BPR"], columns={"users": "val/cosine_distance_user"})
    (failure,) = make(path, folder, tmp_path).failures
    assert re.match(r"BPR: its epochs have no column 'val/cosine_distance_user' \(they have epoch, ", failure)


def test_what_these_data_cannot_show_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"root": tmp_path, "modalities": ["text"], "progress": False, "report": True}
    made = reproduce(["table1", "figure8b"], str(folder), **options)
    assert made.failures == ["figure8b: 'modality_weight' needs data with two modalities or more (got ['text'])."]
    assert (made.folder / "table1.md").exists()
    with pytest.raises(ValueError, match="two modalities or more"):
        reproduce(["figure8b"], str(folder), **options)


def test_models_that_a_folder_of_settings_lacks_are_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "BPR.yaml").write_text("model: BPR\nlr: 0.01\n")
    path, options = own(tmp_path, rows=["BPR", "MGCN"]), {"settings": tmp_path / "found", "short": True, "report": True}
    made = make(path, folder, tmp_path, progress=True, **options)
    assert f"'{tmp_path / 'found'}' has no settings of MGCN: it runs with the library's for any data." in (
        capsys.readouterr().err
    )
    assert made.report is not None
    assert "<td>the library&#x27;s for any data</td>" in made.report.read_text()


def test_some_rows_get_more_seeds_than_others(folder: Path, tmp_path: Path) -> None:
    made = make(own(tmp_path, rows=["BPR", "LightGCN"]), folder, tmp_path, seeds={"LightGCN": 2})
    assert {record["row"]: record["seeds"] for record in made.outputs[0].records} == {"BPR": 1, "LightGCN": 2}


def test_what_is_asked_for_goes_before_the_short_run(folder: Path, tmp_path: Path) -> None:
    path = own(tmp_path, rows=["BPR", "LightGCN"], seeds=3)
    asked: dict[str, Any] = {"seeds": {"BPR": 2}, "overrides": {"max_epochs": 3}}
    made = make(path, folder, tmp_path, short=True, **asked)
    assert {record["row"]: record["seeds"] for record in made.outputs[0].records} == {"BPR": 2, "LightGCN": 1}
    configs = [yaml.safe_load(file.read_text()) for file in (tmp_path / "runs").glob("*/config.yaml")]
    assert [config["max_epochs"] for config in configs] == [3, 3, 3]


def test_ready_made_graphs_count_by_their_content(tmp_path: Path) -> None:
    def key() -> str:
        config = {"model": "FREEDOM", "data": "x", "graphs": {"text": str(tmp_path / "text.npz")}}
        return identity(Experiment.from_config(config), "f")

    (tmp_path / "text.npz").write_bytes(b"one")
    one = key()
    (tmp_path / "text.npz").write_bytes(b"other")
    assert key() != one


def test_a_weight_of_the_first_modality_leaves_the_rest_to_the_others(folder: Path, tmp_path: Path) -> None:
    made = make("figure8b", folder, tmp_path, short=True)
    weights = {
        tuple(sorted(yaml.safe_load(path.read_text())["model"]["init_args"]["weights"].items()))
        for path in (tmp_path / "runs").glob("*/config.yaml")
    }
    assert weights == {(("image", 0.0), ("text", 1.0)), (("image", 1.0), ("text", 0.0))}
    assert [record["point"] for record in made.outputs[0].records] == ["0", "1"]
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        assert (made.folder / f"figure8b{suffix}").read_bytes().startswith(start)


def test_published_values_of_ones_own_stand_beside_ours(folder: Path, tmp_path: Path) -> None:
    published = {"baby": {"BPR": [0.25, None]}}
    path = own(tmp_path, rows=["BPR", "LightGCN"], metrics=["ndcg@20", "recall@20"], published=published)
    output = make(path, folder, tmp_path).outputs[0]
    text = output.to_markdown()
    assert [record["published"] for record in output.records] == [0.25, None, None, None]
    assert "nan" not in text + output.tables[-1].to_latex()
    assert "### As published\n" in text
    assert text.count("0.2500") == 2  # beside ours, and in a table of its own


def test_two_settings_are_a_field_of_what_was_run(folder: Path, tmp_path: Path, drawn: list[Any]) -> None:
    vary = {"model.init_args.num_layers": [1, 3, 2], "lr": [0.001, 0.01]}
    path = own(tmp_path, kind="sweep", rows=["LightGCN"], vary=vary, metrics=["ndcg@20"])
    made = make(path, folder, tmp_path, short=True)
    assert [record["point"] for record in made.outputs[0].records] == ["1, 0.001", "1, 0.01", "2, 0.001", "2, 0.01"]
    assert (made.folder / "mine.png").exists()
    assert [label.get_text() for label in drawn[0].get_xticklabels()] == ["1", "2"]
    assert drawn[0].get_images()[0].get_array().shape == (2, 2)
    assert "whiskers" not in made.outputs[0].caption


@pytest.mark.parametrize("kind", ["sweep", "lines"])
def test_a_caption_speaks_of_whiskers_where_there_are_some(kind: str, folder: Path, tmp_path: Path) -> None:
    vary = {"vary": {"lr": [0.001, 0.01]}} if kind == "sweep" else {}
    path = own(tmp_path, kind=kind, rows=["DRepMRec"], metrics=["ndcg@20"], **vary)
    told = ["whiskers" in make(path, folder, tmp_path, seeds=seeds).outputs[0].caption for seeds in (1, 2)]
    assert told == [False, True]


@pytest.mark.slow
def test_everything_stands_on_one_page_that_needs_nothing_else(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    made = reproduce((), str(folder), root=tmp_path, cache=tmp_path / "cache", short=True, report=True, progress=False)
    assert made.failures == []
    assert made.report is not None
    page = made.report.read_text()
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)", page)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    names = [output.spec.name for output in made.outputs]
    assert [name for name in names if f'<section id="{name}">' not in page] == []
    assert [name for name in names if f"drepm reproduce {name} --data" not in html.unescape(page)] == []
    assert page.count("data:image/svg+xml;base64,") == 9
    assert "fingerprint of the data" in page
    assert "As published (DRepMRec, Table 2)" in page
    assert "0.1040" in page  # the data is called baby
    assert page.count("<table>") == page.count("</table>")


@pytest.mark.slow
def test_several_processes_give_the_numbers_of_one(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = {"good": "BPR", "bad": {"model": "BPR", "set": {"lr": 1e30, "batch_size": 64}}}
    path = own(tmp_path, rows=rows)
    alone = make(path, folder, tmp_path / "one")
    both = make(path, folder, tmp_path / "two", jobs=2, progress=True)
    assert both.outputs[0].records == alone.outputs[0].records
    assert "FloatingPointError: The loss is not finite" in both.failures[0]
    assert "[2/2]" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_no_worker_outlives_the_call_that_started_it(folder: Path, tmp_path: Path) -> None:
    path = own(tmp_path, rows=["BPR", "LightGCN"], set={"max_epochs": 100_000, "patience": 100_000})
    command = [sys.executable, "-m", "drepm_pyg.cli", "reproduce", str(path), "--data", str(folder), "--jobs", "2"]
    caller = subprocess.Popen([*command, "--root", str(tmp_path), "--cache", str(tmp_path / "cache")])
    try:
        _wait(lambda: len(list((tmp_path / "runs").glob("*/metrics.csv"))) == 2)
    finally:
        caller.kill()
        caller.wait()
    time.sleep(2)
    sizes = [file.stat().st_size for file in (tmp_path / "runs").glob("*/metrics.csv")]
    time.sleep(2)
    assert [file.stat().st_size for file in (tmp_path / "runs").glob("*/metrics.csv")] == sizes


def _wait(for_what: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not for_what():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_command_prints_and_its_status_tells_of_failures(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(folder), "--root", str(tmp_path), "--cache", str(tmp_path / "cache"), "--short"]
    assert main(["reproduce", "table1", *common, "--format", "json", "--label", "Toy"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [(row["metric"], row["mean"]) for row in records[:2]] == [("users", 50), ("items", 40)]
    bad = own(tmp_path, rows={"bad": "BPR"}, set={"lr": 1e30, "batch_size": 64})
    assert main(["reproduce", str(bad), *common]) == 1
    captured = capsys.readouterr()
    assert "FAILED: bad, seed 0" in captured.err
    assert "Traceback" not in captured.err
    assert main(["reproduce", str(bad), *common, "--set", "{lr: 0.01}"]) == 0


@pytest.mark.errors
@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        ({"rows": {"a": {"model": "BPR", "set": {"model.init_args.rge": 1}}}}, {}, r"'a' sets \['rge'\]"),
        ({"rows": {"a": {"model": "BPR", "set": {"lrr": 1}}}}, {}, "'lrr'"),
        ({"rows": ["BPR"]}, {"seeds": 0}, "'seeds' must be at least 1"),
        ({"rows": ["BPR"]}, {"seeds": {"BPR": 0}}, r"'seeds\[BPR\]' must be at least 1 \(got 0\)"),
        ({"rows": ["BPR"]}, {"results": __file__}, r"'results' must be a folder \(got '.*\.py', which is a file\)"),
        ({"rows": ["FREEDOM"]}, {"overrides": {"graphs.txt": "t.npz"}}, r"one of 'image', 'text' \(got 'txt'\)"),
        ({"rows": ["BPR"]}, {"settings": "nowhere"}, "'settings' must be a folder"),
        ({"rows": ["BPR"]}, {"settings": "."}, r"'settings' must hold a file for one of the models .*BPR\.yaml"),
        ({"rows": ["BPR"]}, {"seeds": {"BRP": 3}}, "'a name in 'seeds'' must be one of 'BPR'"),
        (
            {"rows": ["BPR"], "metrics": ["recall@5"]},
            {},
            r"shows \['recall@5'\], and its runs measure .*ks: \[5, 10, 20\]",
        ),
        ({"rows": {"a": {"model": "BPR", "set": {"lr": 0}}}}, {}, "row 'a' .* cannot be trained: 'lr' must be"),
        ({"rows": ["BPR"]}, {"overrides": {"max_epochs": "many"}}, "'max_epochs' must be an integer"),
        ({"rows": {"a": {"model": "BPR", "set": {"modalities": ["text"]}}}}, {}, r"'a' cannot set \['modalities'\]"),
        ({"rows": ["BPR"]}, {"overrides": {"data": "other"}}, r"'BPR' cannot set \['data'\]: .*'--data'"),
        ({"rows": {"a": {"model": "BPR", "set": {"model": "LightGCN"}}}}, {}, r"cannot set \['model'\]: 'model' of"),
        ({"rows": {"a": {"model": "BPR", "set": {"model.class_path": "LightGCN"}}}}, {}, "'model.init_args.NAME'"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is(
    folder: Path, tmp_path: Path, content: dict[str, object], options: dict[str, object], text: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=text):
        make(own(tmp_path, **content), folder, tmp_path, **options)
    assert not (tmp_path / "runs").exists()


@pytest.mark.errors
def test_data_without_test_pairs_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    data = SyntheticMultimodal(num_users=50, num_items=40, seed=0)[0]
    data["user", "interacts", "item"].test_edge_label_index = torch.empty(2, 0, dtype=torch.long)
    write_mmrec(data, tmp_path / "untested")
    with pytest.raises(ValueError, match="'data' must have test pairs"):
        make(own(tmp_path, rows=["BPR"]), tmp_path / "untested", tmp_path)
    assert not (tmp_path / "runs").exists()


@pytest.mark.errors
def test_data_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'data' must be given"):
        reproduce([own(tmp_path, rows=["BPR"])], root=tmp_path)


def test_the_time_left_is_that_of_the_models_that_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    told = Remaining(["a-1", "a-2", "b-1", "b-2"], jobs=2)
    assert told.left() == 0  # nothing is known yet
    told.tell("a-1", None, 10.0)
    assert told.left() == 15  # three at ten seconds, two at a time
    told.tell("b-1", None, 100.0)
    assert told.left() == 55
    told.tell("b-2", "it broke", 1.0)
    assert told.left() == 5
    assert "FAILED: it broke; about 5 s left" in capsys.readouterr().err


@pytest.mark.slow
def test_the_workers_module_starts_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "drepm_pyg.experiments.reproduction.worker", "-h"]
    assert subprocess.run(command, capture_output=True).returncode == 0
