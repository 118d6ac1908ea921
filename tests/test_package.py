"""The package as a whole: light imports, no lost names, every public class under test, imports declared."""

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import drepm_pyg

ROOT = Path(__file__).parent
ROOMS = ("data", "evaluation", "graph", "models", "nn", "nn.functional", "nn.losses", "recommend", "training")
HEAVY = ("faiss", "lightning", "matplotlib", "pandas", "jsonargparse", "rich", "sentence_transformers", "sklearn")


def public_names(room: str) -> list[str]:
    return list(importlib.import_module(f"drepm_pyg.{room}").__all__)


def modules_after(statement: str) -> set[str]:
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    return set(
        json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    )


@pytest.mark.parametrize("room", ["drepm_pyg", "drepm_pyg.nn", "drepm_pyg.models"])
def test_import_loads_nothing_heavy_beyond_torch_geometric(room: str) -> None:
    extra = modules_after(f"import {room}") - modules_after("import torch_geometric")
    assert not extra.intersection(HEAVY)


def test_layers_load_scipy_where_they_need_it() -> None:
    assert "scipy" not in modules_after("import drepm_pyg.nn") - modules_after("import torch_geometric.nn")


def test_the_package_itself_loads_not_even_torch() -> None:
    assert "torch" not in modules_after("import drepm_pyg")


def test_rooms_are_attributes_of_the_package() -> None:
    assert drepm_pyg.nn is importlib.import_module("drepm_pyg.nn")
    with pytest.raises(AttributeError, match="no attribute 'attic'"):
        drepm_pyg.attic  # noqa: B018 - the access is what is tested


def imports() -> Iterator[tuple[str, str, list[str]]]:
    """Every import of the package's files: in which file, of which module, of which names."""
    for path in sorted(Path(drepm_pyg.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name, []) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path.name, str(node.module), [alias.name for alias in node.names]


def test_what_modules_take_from_each_other_is_listed() -> None:
    unlisted = set()
    for _, source, names in imports():
        if source.startswith("drepm_pyg."):
            module = importlib.import_module(source)
            others = {name for name in names if not inspect.ismodule(getattr(module, name))}
            unlisted |= {f"{source}.{name}" for name in others.difference(getattr(module, "__all__", names))}
    assert unlisted == set()


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    declared, installed = {canonicalize_name(Requirement(text).name) for text in texts}, packages_distributions()
    roots = {source.split(".")[0] for _, source, _ in imports()} - sys.stdlib_module_names - {"drepm_pyg"}
    assert [root for root in sorted(roots) if not declared & set(map(canonicalize_name, installed[root]))] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_listed_name_exists(room: str) -> None:
    module = importlib.import_module(f"drepm_pyg.{room}")
    assert [name for name in public_names(room) if not hasattr(module, name)] == []


def test_no_public_name_disappears_unnoticed() -> None:
    listed = (ROOT / "public_names.txt").read_text().split()
    assert listed == [f"{room}.{name}" for room in ROOMS for name in sorted(public_names(room))]


def names_in(source: str) -> Iterator[str]:
    """The names that a file's code speaks of; words of its texts and parts of other names are none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name


def test_every_public_class_and_function_stands_in_a_test() -> None:
    files = [path for path in ROOT.rglob("*.py") if path.name != "test_package.py"]
    spoken = {name for path in files for name in names_in(path.read_text())}
    assert [f"{room}.{name}" for room in ROOMS for name in public_names(room) if name not in spoken] == []


def test_every_public_class_and_function_has_a_docstring() -> None:
    missing = []
    for info in pkgutil.walk_packages(drepm_pyg.__path__, "drepm_pyg."):
        if info.name in ("drepm_pyg.cli.__main__", "drepm_pyg.typing"):  # one runs on import, one re-exports others'
            continue
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and not inspect.getdoc(thing):
                missing.append(f"{info.name}.{name}")
    assert missing == []
