"""The command line as its users type it: results on stdout, one-line errors, exit status 0, 1, 2."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from drepm_pyg import __version__
from drepm_pyg.cli import main
from drepm_pyg.cli.arguments import names
from drepm_pyg.cli.main import COMMANDS
from drepm_pyg.data import SyntheticMultimodal, write_mmrec
from drepm_pyg.models import available_models, get_model

# Not FAISS, which doctor lets search, and not what only the makers of the library need.
USERS_EXTRAS = {"sparse", "text", "plot", "tsne", "parquet", "tensorboard", "serve", "sweep"}


@pytest.fixture(scope="module")
def folder(written: Callable[..., Path]) -> Path:
    return written()


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize(
    ("before", "given", "expected"),
    [("", None, "1"), ("", "0", "0"), ("import torch", None, "None")],
    ids=["own process", "the user's wish", "another's process"],
)
def test_large_pages_are_asked_for_where_torch_is_not_there_yet(
    before: str, given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    if given is not None:
        monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", given)
    call = (
        "import os; from drepm_pyg.cli import main; main(['--version']); print(os.environ.get('THP_MEM_ALLOC_ENABLE'))"
    )
    done = subprocess.run([sys.executable, "-c", f"{before}\n{call}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == expected


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"data"}))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"drepm {command}" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_models_are_listed_without_their_import(form: str) -> None:
    listing = f"from drepm_pyg.cli import main; main(['models', '--format', '{form}'])"
    call = f"import sys; {listing}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_the_list_of_models_is_what_their_classes_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    for name, row in zip(available_models(), rows, strict=True):
        model = get_model(name)
        about, *lines = map(str.strip, (model.__doc__ or "").splitlines())
        _, year, venue, uses, *_ = map(str.strip, lines[lines.index("Reference:") + 1].split("|"))
        assert row == {
            "model": model.__name__,
            "year": year,
            "venue": venue,
            "uses": uses,
            "trained": "yes" if model.trainable else "no",
            "similarity graphs": ", ".join(model.graph_nodes) or "-",
            "about": about,
        }


@pytest.mark.errors
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "'--config' cannot be used ('{file}': No such file or directory)."),
        (b"", "'{file}' must hold a mapping of names to values (got a NoneType)."),
        (b"- a", "'{file}' must hold a mapping of names to values (got a list)."),
        (b"k: [1", "'{file}' is no YAML ("),
        (b"\x93NUMPY", "'{file}' is no YAML ("),
    ],
    ids=["absent", "empty", "list", "no yaml", "no text"],
)
@pytest.mark.parametrize("command", [["graph", "x.npy", "--out", "x.npz"], ["recommend", "run"], ["data", "info", "x"]])
def test_a_file_of_options_that_is_none(
    command: list[str], content: bytes | None, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "options.yaml"
    if content is not None:
        file.write_bytes(content)
    assert main([*command, "--config", str(file)]) == 2
    assert f"error: {text.format(file=file)}" in capsys.readouterr().err


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert sorted(row["model"].lower() for row in rows) == available_models()


def test_doctor_says_whether_faiss_searches(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("faiss")
    assert main(["doctor", "--format", "json"]) == 0
    found = {row["part"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["FAISS"]["state"] == "ok"
    assert found["FAISS"]["detail"].endswith("; a search works")


def test_doctor_names_every_optional_package(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = {name: found for name, found in project["optional-dependencies"].items() if name in USERS_EXTRAS}
    assert set(extras) == USERS_EXTRAS
    assert main(["doctor", "--format", "json"]) == 0
    parts = {row["part"] for row in json.loads(capsys.readouterr().out)}
    assert {Requirement(text).name for found in extras.values() for text in found} - parts == set()


def test_fit_evaluate_recommend(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["fit", "--model", "LightGCN", "--model.num_layers", "1", "--data", str(folder), "--max_epochs", "2"]
    fit += ["--root", str(tmp_path), "--name", "one", "--format", "json"]
    assert main(fit) == 0
    fitted = json.loads(capsys.readouterr().out)
    saved = json.loads((tmp_path / "one" / "result.json").read_text())
    assert saved["init_args"]["num_layers"] == 1
    assert fitted["test/recall@20"] == saved["metrics"]["test/recall@20"] > 0
    assert main(["evaluate", str(tmp_path / "one"), "--format", "json"]) == 0
    ranked = json.loads(capsys.readouterr().out)
    assert ranked["recall@20"] == pytest.approx(saved["metrics"]["test/recall@20"], abs=1e-12)
    assert main(["recommend", str(tmp_path / "one"), "--users", "[0, 3]", "--k", "4", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == 8
    assert main(["recommend", str(tmp_path / "one"), "--users", "0,3", "--k", "4", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == listed


def test_pairs_are_split_and_asked_for_by_their_own_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.mkdir()
    pairs = [f"{user}\t{(3 * user + step) % 25}\n" for user in range(10) for step in range(8)]
    (log / "log.inter").write_text("userID\titemID\n" + "".join(pairs))
    (log / "u_id_mapping.csv").write_text("name\tuserID\tlogin\n" + "".join(f"n{n}\t{n}\tu{n}\n" for n in range(10)))
    assert main(["data", "info", str(log)]) == 1
    assert "call 'drepm data split'" in capsys.readouterr().err
    assert main(["data", "split", str(log), str(tmp_path / "shop"), "--format", "json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["train"], described["val"], described["test"]) == (60, 10, 10)
    fit = ["fit", "--model", "BPR", "--data", str(tmp_path / "shop"), "--max_epochs", "1", "--root", str(tmp_path)]
    assert main([*fit, "--name", "one"]) == 0
    capsys.readouterr()
    answers = []
    for users in (["--users", "3"], ["--users", "u3", "--original_ids", "true"]):
        assert main(["recommend", str(tmp_path / "one"), *users, "--k", "2", "--format", "json"]) == 0
        answers.append([row["item"] for row in json.loads(capsys.readouterr().out)])
    assert answers[0] == answers[1]
    assert main(["recommend", str(tmp_path / "one"), "--users", "u3"]) == 1
    assert "'--users' must be whole numbers (got ['u3'])" in capsys.readouterr().err


@pytest.mark.errors
def test_a_data_set_is_not_written_over_by_what_is_made_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = tmp_path / "shop"
    write_mmrec(SyntheticMultimodal(num_users=30, num_items=20, seed=0)[0], shop)
    (inter,) = shop.glob("*.inter")
    before = inter.read_bytes()
    for action in ("split", "convert"):
        for source, output in ((shop, f"{shop}/../shop"), (inter, shop), (tmp_path, shop)):
            assert main(["data", action, str(source), str(output)]) == 1
            assert "'output' must be another directory than the source's" in capsys.readouterr().err
    assert inter.read_bytes() == before


def test_a_run_is_repeated_from_its_own_config(folder: Path, tmp_path: Path) -> None:
    fit = ["fit", "--model", "BPR", "--data", str(folder), "--max_epochs", "2", "--root", str(tmp_path)]
    assert main([*fit, "--name", "one"]) == 0
    assert main(["fit", "--config", str(tmp_path / "one" / "config.yaml"), "--name", "two"]) == 0
    metrics = [json.loads((tmp_path / name / "result.json").read_text())["metrics"] for name in ("one", "two")]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("given", ["image,text", "image, text", "[image, text]"])
@pytest.mark.parametrize(
    "arguments", [["fit", "--model", "BPR", "--data", "x"], ["sweep", "--data", "x"], ["reproduce"]], ids=lambda a: a[0]
)
def test_modalities_are_typed_alike_in_every_command(arguments: list[str], given: str) -> None:
    command = import_module(f"drepm_pyg.cli.{arguments[0]}")
    options = [*arguments[1:], "--modalities", given]
    assert names(command.parser(options).parse_args(options).modalities) == ["image", "text"]


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["fit", "--model", "LightGCN", "--data", "nowhere"], 1, "nowhere"),
        (["fit", "--model", "LightGNC", "--data", "synthetic"], 2, "(got 'LightGNC'). Did you mean LightGCN?"),
        (["fit", "--model=lightgcn", "--data", "synthetic"], 2, "(got 'lightgcn'). Did you mean LightGCN?"),
        (["fit", "--model", "LightGCN", "--data", "synthetic", "--model.num_layers", "x"], 2, "drepm fit: error: "),
        (["reproduce", "table1"], 1, "'data' must be given, as the experiments name none"),
        (["reproduce", "table3", "--data", "synthetic", "--set", "{name: a}"], 1, "cannot set ['name']"),
        (["fit", "--model", "LightGCN", "--data", "synthetic", "--model.num_layer", "1"], 2, "num_layer"),
        (["fit", "--modle", "LightGCN"], 2, "modle"),
        (["fit", "--model", "LightGCN", "--data", "synthetic", "--modalities", "text,sound"], 1, "sound"),
        (
            ["reproduce", "--seeds", "x"],
            2,
            "'--seeds' must be a whole number or a mapping such as '{name: value}' (got",
        ),
        (["reproduce", "--jobs", "two"], 2, "'--jobs' must be a whole number (got 'two')"),
        (["train"], 2, "train"),
        ([], 2, "COMMAND"),
    ],
)
def test_errors_are_one_line_with_their_status(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert text in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.errors
def test_data_with_faults_are_not_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mmrec(SyntheticMultimodal(num_users=30, num_items=20, seed=0)[0], tmp_path / "leak")
    (inter,) = (tmp_path / "leak").glob("*.inter")
    header, first, *rest = inter.read_text().splitlines()
    inter.write_text("\n".join([header, first, first, *rest]) + "\n")
    assert main(["fit", "--model", "BPR", "--data", str(tmp_path / "leak"), "--root", str(tmp_path)]) == 1
    assert "holds 1 duplicate pairs" in capsys.readouterr().err
    assert main(["data", "validate", str(tmp_path / "leak"), "--format", "json"]) == 1
    out = capsys.readouterr()
    (fault,) = json.loads(out.out)
    assert fault["level"] == "fault"
    assert "holds 1 duplicate pairs" in fault["message"]
    assert "has faults: they are listed above (1)" in out.err


def test_help_does_not_wait_for_torch() -> None:
    program = "import sys; from drepm_pyg.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
