"""Directives that fill pages from the package itself, so that the two cannot disagree."""

import csv
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import torch
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from kit import baby
from model_docs import COLUMNS, model_doc
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from drepm_pyg.data import build_data, similar
from drepm_pyg.models import available_models, get_model


class RstDirective(SphinxDirective):
    """A directive whose content is RST that :meth:`lines` makes."""

    def lines(self) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        container = nodes.container()
        container.document = self.state.document
        nested_parse_with_titles(self.state, StringList(self.lines(), source=self.env.docname), container)
        return container.children


def list_table(header: list[str], rows: list[list[str]]) -> list[str]:
    """An RST list-table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        cells = ["\\-" if cell == "-" else cell.replace("@", "\\@") for cell in row]  # no list, no mail address
        lines += [f"   {'* -' if place == 0 else '  -'} {cell}".rstrip() for place, cell in enumerate(cells)]
    return [*lines, ""]


class Room(RstDirective):
    """``.. room:: drepm_pyg.nn``: a summary of the module's ``__all__``, then every name of it in full."""

    required_arguments = 1

    def lines(self) -> list[str]:
        name = self.arguments[0]
        module = importlib.import_module(name)
        constants = [member for member in module.__all__ if not callable(getattr(module, member))]
        rows = [[f":obj:`{member}`", first_line(getattr(module, member))] for member in module.__all__]
        summary = [f".. currentmodule:: {name}", "", *list_table(["name", ""], rows)]
        members = [f".. automodule:: {name}", ""]
        for member in module.__all__:  # one by one: autodoc does not see what a module imports on first use
            if inspect.isclass(getattr(module, member)):
                members += [f".. autoclass:: {member}", "   :members:", "   :show-inheritance:", ""]
            elif member not in constants:
                members += [f".. autofunction:: {member}", ""]
        for constant in constants:
            value = getattr(module, constant)
            shown = tuple(value) if isinstance(value, dict) else value
            members += ["", f".. py:data:: {constant}", f"   :value: {shown!r}", ""]
            members += [f"   {line}" for line in comment_of(module, constant)]
        return [*summary, *members, ""]


def first_line(thing: object) -> str:
    """What the docstring of a class or function begins with; constants are told by their comments."""
    return (inspect.getdoc(thing) or "").split("\n")[0] if callable(thing) else "a constant"


def comment_of(module: ModuleType, constant: str) -> list[str]:
    """The ``#:`` comment above a constant, in whichever module of the package defines it."""
    for info in pkgutil.iter_modules(module.__path__, f"{module.__name__}."):
        comments = ModuleAnalyzer.for_module(info.name).find_attr_docs()
        if ("", constant) in comments:
            return comments["", constant]
    return []


class ModelTable(RstDirective):
    """``.. model-table::``: every model of the library and what it uses."""

    def lines(self) -> list[str]:
        rows = []
        for name in available_models():
            doc = model_doc(get_model(name))
            uses = ["✓" if column in doc.uses else "" for column in COLUMNS]
            rows.append([f":class:`~drepm_pyg.models.{get_model(name).__name__}`", doc.year, doc.venue, *uses])
        return list_table(["model", "year", "venue", *COLUMNS], rows)


class ModelNotes(RstDirective):
    """``.. model-notes::``: the paper of every model, and what differs from it and why."""

    def lines(self) -> list[str]:
        lines = []
        for name in available_models():
            doc = model_doc(get_model(name))
            implements = f"   Implements: {doc.equations}."
            notes = f"   {doc.deviations}" if doc.deviations else ""
            lines += [f"**{doc.name}**", f"   {doc.paper}", "", implements, "", notes, ""]
        return lines


class ModelSizes(RstDirective):
    """``.. model-sizes::``: trained parameters of every model at the size of Amazon Baby, counted as it is built."""

    def lines(self) -> list[str]:
        data = build_data(
            baby.USERS,
            baby.ITEMS,
            torch.zeros(2, 1, dtype=torch.long),
            # One number seen through a large shape: only the width is read.
            features={name: torch.zeros(1, 1).expand(baby.ITEMS, width) for name, width in baby.WIDTHS.items()},
        )
        for node in ("user", "item"):
            for name in baby.WIDTHS:
                data[similar(node, name)].edge_index = torch.zeros(2, 1, dtype=torch.long)
        rows = []
        for name in available_models():
            model = get_model(name).from_data(data)
            trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
            rows.append([type(model).__name__, f"{trained:,}"])
        return list_table(["model", "trained parameters"], rows)


class Measured(RstDirective):
    """``.. measured:: file.csv``: numbers that somebody measured, or a sentence that says there are none yet."""

    required_arguments = 1
    option_spec: ClassVar = {"command": directives.unchanged}

    def lines(self) -> list[str]:
        path = Path(self.env.srcdir) / "measured" / self.arguments[0]
        self.env.note_dependency(str(path))
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        if not rows:
            return [f"*Not measured yet* (the numbers belong into ``docs/measured/{self.arguments[0]}``)."]
        command = self.options.get("command")
        made_by = [f"Made by ``{command}``:", ""] if command else []
        if header[-1] != "command":
            return [*made_by, *list_table(header, rows)]
        table = list_table(header[:-1], [row[:-1] for row in rows])
        return [*table, ".. code-block:: console", "", *(f"   $ {row[-1]}" for row in rows), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("room", Room)
    app.add_directive("model-table", ModelTable)
    app.add_directive("model-notes", ModelNotes)
    app.add_directive("model-sizes", ModelSizes)
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True}
