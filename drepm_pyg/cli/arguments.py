"""What the parsers of all commands share."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

__all__ = ["Ids", "Names", "Parser", "add_format", "add_graphs", "given", "ids", "names"]

#: Names as ``text,audio``, or as a list in a file.
Names = list[str] | str | None

#: Ids as ``0,1,2``, or as a list: numbers, or any words.
Ids = list[int | str] | str | None

_NOISE = ("Does not validate against any", "Subtypes:", "Errors:", "Given value", "- Expected a <class 'NoneType'>")

#: What a value must be, in the words of somebody who types it.
_FORMS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list such as '[one, other]'",
    "dict": "a mapping such as '{name: value}'",
}


class Parser(ArgumentParser):  # type: ignore[misc]  # jsonargparse comes without types
    """A parser with ``--config``, no abbreviations, and errors that one can read.

    Args:
        command: such as 'fit', for the usage line.
        description: one line.
    """

    def __init__(self, command: str = "", description: str = "", **options: Any) -> None:
        options = {"prog": f"drepm {command}".strip(), "description": description, **options}
        super().__init__(allow_abbrev=False, **options)
        self.add_argument("--config", action="config", help="a YAML file with any of these options")

    def error(self, message: str, *args: Any) -> NoReturn:
        """Say what is wrong in one line, and end with status 2."""
        lines = [line.strip() for line in str(message).splitlines()]
        told = _wrong_form(str(message)) or " ".join(
            line.removeprefix("- ") for line in lines if line and not line.startswith(_NOISE)
        )
        self.exit(2, f"{self.prog}: error: {told} ('{self.prog} --help' lists the options.)\n")
        raise AssertionError("exit returns never")


def _wrong_form(message: str) -> str | None:
    """A value that is no number, list or mapping where one is asked for; None for every other error."""
    key, value = re.search(r'Parser key "([^"]+)":', message), re.search(r"(?:Given|Got) value: (.*)", message)
    if key is None or value is None:
        return None
    choice = re.search(r"Expected an? typing.Literal\[(.*?)\]", message)
    if choice is not None:
        return f"'--{key[1]}' must be one of {choice[1]} (got '{value[1]}')."
    forms = [name for name in re.findall(r"Expected an? <class '(\w+)'>", message) if name != "NoneType"]
    if not forms or not set(forms) <= set(_FORMS):
        return None
    return f"'--{key[1]}' must be {' or '.join(_FORMS[name] for name in forms)} (got '{value[1]}')."


def add_format(parser: ArgumentParser) -> None:
    """How results are printed."""
    from typing import Literal

    parser.add_argument(
        "--format", type=Literal["table", "json", "csv"], default="table", help="how results are printed"
    )


def add_graphs(parser: Parser, argv: Sequence[str]) -> None:
    """How similarity graphs are made, or where they are: ``--graphs.k 5``, ``--graphs.image FILE.npz``."""
    from drepm_pyg.experiments import GraphOptions

    parser.add_class_arguments(GraphOptions, "graphs", skip={"files"})
    for name in _ready_made(parser, argv):
        parser.add_argument(f"--graphs.{name}", type=str, help="a ready-made item graph (row = centre, col)")


def names(value: list[str] | str | None) -> list[str] | None:
    """The names of an option of type :data:`Names`."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def ids(value: list[int | str] | str) -> list[str]:
    """The ids of an option of type :data:`Ids`."""
    return (names(value) if isinstance(value, str) else [str(one) for one in value]) or []


def given(args: Namespace, defaults: Namespace) -> dict[str, Any]:
    """The arguments of a group that are not at their defaults."""
    return {name: value for name, value in args.as_dict().items() if value != defaults[name]}


def _ready_made(parser: Parser, argv: Sequence[str]) -> list[str]:
    """The modalities for which a graph is given, as ``--graphs.image FILE.npz`` or under ``graphs`` in a config file.

    Any name can be a modality, so that these options cannot be known before; a value that is no file of a graph makes
    none.
    """
    from drepm_pyg.experiments.yaml_file import read_yaml
    from drepm_pyg.graph.formats import is_graph_file

    found: dict[str, str] = {}
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for word, value in pairwise([*words, ""]):
        if word.startswith("--graphs."):
            found[word.removeprefix("--graphs.")] = value
        if word == "--config":
            try:
                graphs = read_yaml(value).get("graphs")
            except (OSError, ValueError) as error:
                parser.error(str(error))
            found |= graphs if isinstance(graphs, dict) else {}
    return [name for name, value in found.items() if is_graph_file(value)]
