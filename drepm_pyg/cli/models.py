"""``drepm models``."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm models``."""
    parser = Parser("models", "List the models, as their docstrings describe them.")
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Print a row per model, out of the source: an import of the models would take seconds."""
    sources = {file.name: ast.parse(file.read_text("utf-8")) for file in _model_files()}
    classes = {node.name: node for tree in sources.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    (table,) = (value for name, value in _assigned(sources["__init__.py"]) if name == "_MODELS")
    assert isinstance(table, ast.Dict)
    models = {ast.unparse(key): ast.unparse(value) for key, value in zip(table.keys, table.values, strict=True) if key}
    show([_row(models[name], classes) for name in sorted(models)], args.format)


def _model_files() -> "Iterator[Traversable]":
    return (file for file in (files("drepm_pyg") / "models").iterdir() if file.name.endswith(".py"))


def _row(model: str, classes: Mapping[str, ast.ClassDef]) -> dict[str, Any]:
    """The ``Reference`` of the docstring: name | year | venue | what it uses | equations."""
    lines = [line.strip() for line in (ast.get_docstring(classes[model]) or "").splitlines()]
    _, year, venue, uses, *_ = [cell.strip() for cell in lines[lines.index("Reference:") + 1].split("|")]
    return {
        "model": model,
        "year": year,
        "venue": venue,
        "uses": uses,
        "trained": "yes" if _attribute(model, "trainable", classes) else "no",
        "similarity graphs": ", ".join(_attribute(model, "graph_nodes", classes)) or "-",
        "about": lines[0],
    }


def _attribute(model: str, name: str, classes: Mapping[str, ast.ClassDef]) -> Any:
    """What the class says, or the first of its bases that does."""
    own = dict(_assigned(classes[model]))
    if name in own:
        return ast.literal_eval(own[name])
    bases = [base.id for base in classes[model].bases if isinstance(base, ast.Name) and base.id in classes]
    return next((found for base in bases if (found := _attribute(base, name, classes)) is not None), None)


def _assigned(scope: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for node in scope.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, node.value) for target in targets if isinstance(target, ast.Name))
