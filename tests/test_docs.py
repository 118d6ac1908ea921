"""The documentation runs: every Python block, every doctest, the build, and every name that the pages mention."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import drepm_pyg

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CLI = DOCS / "cli.md"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]
ROOMS = sorted(path.stem for path in (DOCS / "api").glob("*.md") if path.stem != "index")
BLOCK = re.compile(r"^```(python|yaml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOTTED = re.compile(r"`~?(drepm_pyg(?:\.\w+)+)`")


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[tuple[str, int, str]]:
    """Language, number of the first line, and content of a page's blocks."""
    text = page.read_text()
    found = [(m.group(1), text.count("\n", 0, m.start(2)) + 1, m.group(2)) for m in BLOCK.finditer(text)]
    return [block for block in found if block[0] in languages]


def commands(console: str) -> list[list[str]]:
    """The arguments of every ``$ drepm ...`` line."""
    lines = [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ drepm")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def run_python(page: Path, line: int, source: str, namespace: dict[str, object]) -> None:
    tree = ast.increment_lineno(ast.parse(source), line - 1)
    exec(compile(tree, str(page), "exec"), namespace)


def importable(dotted: str) -> bool:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            if not hasattr(thing, name):
                return False
            thing = getattr(thing, name)
        return True
    return False


def modules_with_doctests() -> list[str]:
    """Read, not imported: collecting tests must not load the whole package."""
    found = []
    for info in pkgutil.walk_packages([str(ROOT / "drepm_pyg")], "drepm_pyg."):
        base = ROOT.joinpath(*info.name.split("."))
        source = base / "__init__.py" if info.ispkg else base.with_suffix(".py")
        examples = [line for line in source.read_text().splitlines() if ">>> " in line]
        if any("+SKIP" not in line for line in examples):
            found.append(info.name)
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if page != CLI and blocks(page, "python")], ids=page_id)
def test_the_blocks_of_a_page_run_top_to_bottom(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # classes of a page can be pickled and inspected
    for _, line, source in blocks(page, "python"):
        run_python(page, line, source, module.__dict__)


@pytest.mark.slow
def test_the_page_of_the_command_line_runs_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from drepm_pyg.cli import main

    monkeypatch.chdir(tmp_path)
    for language, line, content in blocks(CLI, "python", "yaml", "console"):
        if language == "yaml":
            Path("run.yaml").write_text(content)
        elif language == "python":
            run_python(CLI, line, content, {})
        else:
            for arguments in commands(content):
                assert main(arguments) == 0, arguments


@pytest.mark.parametrize("page", [page for page in PAGES if page != CLI and blocks(page, "console")], ids=page_id)
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    from drepm_pyg.cli import main
    from drepm_pyg.cli.main import COMMANDS

    for arguments in (arguments for _, _, console in blocks(page, "console") for arguments in commands(console)):
        if "--help" in arguments:
            assert main(arguments) == 0
        else:
            command, *rest = arguments
            assert command in COMMANDS
            importlib.import_module(f"drepm_pyg.cli.{command}").parser(rest).parse_args(rest)


@pytest.mark.parametrize("name", modules_with_doctests())
def test_docstring_examples_give_what_they_show(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), extraglobs={"torch": torch})
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_name_of_the_package_on_a_page_exists(page: Path) -> None:
    named = set(DOTTED.findall(page.read_text()))
    assert sorted(name for name in named if not importable(name)) == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [
        link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text) for link in link
    ]
    broken = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_example_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"`(examples/\w+\.py)`", page.read_text()))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_page_begins_with_its_title_and_a_summary() -> None:
    for page in PAGES:
        if page.parent == DOCS and page.stem not in {"index", "changelog"}:
            assert re.match(r"# .+\n\n\*\*TL;DR\*\* ", page.read_text()), page.name


def test_every_room_has_a_page_in_the_reference() -> None:
    with_names = {
        name
        for name in ("data", "evaluation", "experiments", "graph", "models", "nn", "recommend", "training")
        if importlib.import_module(f"drepm_pyg.{name}").__all__
    }
    assert with_names <= set(ROOMS)
    index = (DOCS / "api" / "index.md").read_text()
    for room in ROOMS:
        assert f"\n{room}\n" in index
        assert f".. room:: drepm_pyg.{room}\n" in (DOCS / "api" / f"{room}.md").read_text()


def test_every_model_describes_itself_for_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from drepm_pyg.models import available_models, get_model

    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    model_doc = importlib.import_module("model_docs").model_doc
    for name in available_models():
        doc = model_doc(get_model(name))
        assert doc.name.lower() == name
        assert doc.equations
        assert doc.deviations or name == "mostpopular"


def test_the_page_of_training_tells_every_argument_of_fit() -> None:
    from drepm_pyg.training import fit

    told = {"model", "data", *re.findall(r"`(\w+)`", (DOCS / "training.md").read_text())}
    assert sorted(set(inspect.signature(fit).parameters) - told) == []


def test_decisions_are_numbered_and_listed() -> None:
    files = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    listed = re.findall(r"^(\d{4}-[\w-]+)$", (DOCS / "decisions" / "index.md").read_text(), re.MULTILINE)
    assert [f"{name}.md" for name in listed] == files


def test_the_figures_are_those_that_the_script_draws(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "figures" / "draw.py"), str(tmp_path)], check=True)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert len(drawn) == 6
    assert drawn <= {path.name for path in (DOCS / "figures").iterdir()}


@pytest.mark.slow
def test_the_build_has_no_warning_and_shows_every_public_name(tmp_path: Path) -> None:
    inventory = pytest.importorskip("sphinx.util.inventory")
    html = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(html)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    shown = set()
    for objects in inventory.InventoryFile.loads((html / "objects.inv").read_bytes(), uri="").data.values():
        shown |= set(objects)
    public = {
        f"drepm_pyg.{room}.{name}" for room in ROOMS for name in importlib.import_module(f"drepm_pyg.{room}").__all__
    }
    assert sorted(public - shown) == []


def test_the_citation_names_the_version_of_the_package() -> None:
    assert f"\nversion: {drepm_pyg.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{drepm_pyg.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
