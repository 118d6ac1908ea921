"""What the parsers of all commands share."""

import re
from argparse import ArgumentError, ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from jsonargparse import ArgumentParser, Namespace

from drepm_pyg.cli.messages import did_you_mean, no_mapping, readable

if TYPE_CHECKING:
    from drepm_pyg.models import RecommenderModel

__all__ = [
    "Names",
    "Parser",
    "add_format",
    "add_graphs",
    "add_source",
    "check_graphs",
    "check_models",
    "given",
    "ids",
    "names",
    "said",
]

#: Names as ``text,audio``, or as a list in a file.
Names = list[str] | str | None


class Parser(ArgumentParser):  # type: ignore[misc]  # jsonargparse comes without types
    """A parser with ``--config``, no abbreviations, and help and errors that one can read.

    Args:
        command: such as 'fit', for the usage line.
        description: one line.
    """

    def __init__(self, command: str = "", description: str = "", **options: Any) -> None:
        options = {"prog": f"drepm {command}".strip(), "description": description, **options}
        super().__init__(allow_abbrev=False, **options)
        self.add_argument("--config", action="config", help="a YAML file with any of these options")

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:
        """Parse; a group of options that a file gives as one value is an error, which jsonargparse lets pass."""
        list(said(self, args[0] if args else ()))  # config files are read: what is wrong with one is said in our words
        parsed = super().parse_args(*args, **kwargs)
        for name in self.groups:
            if name in parsed and not isinstance(parsed[name], Namespace):
                self.error(no_mapping(f"--{name}", parsed[name]))
        return parsed

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong in one paragraph, and end with status 2."""
        if not self.exit_on_error:  # the arguments of a model: the parser of the command says it
            known = [action.dest for action in self._actions if action.dest.rpartition(".")[2] != "help"]
            raise ArgumentError(None, f"{message} (known: {', '.join(known)})") from ex
        self.exit(2, f"{self.prog}: error: {readable(str(message))} ('{self.prog} --help' lists the options.)\n")
        raise AssertionError("exit returns never")

    def format_help(self) -> str:
        """The help, of which much stands in docstrings, without their markup."""
        return re.sub(r"(?::[\w:]+:)?(`{1,2})(?:~[\w.]*\.)?([^`]+)\1", r"\2", super().format_help())


def add_format(parser: ArgumentParser) -> None:
    """How results are printed."""
    parser.add_argument(
        "--format", type=Literal["table", "json", "csv"], default="table", help="how results are printed"
    )


def add_graphs(parser: Parser, argv: Sequence[str]) -> None:
    """How similarity graphs are made, or where they are: ``--graphs.k 5``, ``--graphs.image FILE.npz``."""
    from drepm_pyg.experiments import GraphOptions

    parser.add_class_arguments(GraphOptions, "graphs", skip={"files"})
    for name in _ready_made(parser, argv):
        parser.add_argument(f"--graphs.{name}", type=str, help="a ready-made item graph (row = centre, col)")


def add_source(parser: ArgumentParser) -> None:
    """The data of a run, where they are no longer where they were."""
    parser.add_argument(
        "--data", type=str | None, default=None, help="where its data are now; default: where they were"
    )


def check_graphs(graphs: Mapping[str, Any], models: Sequence[type["RecommenderModel"]]) -> None:
    """No option of the graphs that nothing reads.

    Raises:
        ValueError: where options are given and no model reads graphs, or ``weight`` without a file that has it.
    """
    from drepm_pyg.experiments import GraphOptions

    defaults = vars(GraphOptions())
    asked = [name for name, value in graphs.items() if value != defaults.get(name)]
    if asked and not any(model.graph_nodes for model in models):
        listed, verb = " and ".join(model.__name__ for model in models), "reads" if len(models) == 1 else "read"
        raise ValueError(f"'--graphs.{asked[0]}' is for the similarity graphs, and {listed} {verb} none. Leave it out.")
    if "weight" in asked and set(graphs) <= set(defaults):
        raise ValueError(
            "'--graphs.weight' is for the files of graphs, and none is given. Name one, such as '--graphs.text FILE'."
        )


def check_models(parser: Parser, argv: Sequence[str], option: str) -> None:
    """No model that there is not, as the value of an option: jsonargparse would speak of import paths."""
    for name, value in said(parser, argv):
        if name != option:
            continue
        value = value.get("class_path") if isinstance(value, dict) else value
        listed = option == "--models"
        if value is not None and not isinstance(value, str | list if listed else str):
            form = "names of models, such as '[LightGCN, BPR]'" if listed else "the name of a model, such as LightGCN"
            parser.error(f"'{option}' must be {form} (got '{value}').")
        for model in (names(value.strip("[]")) if isinstance(value, str) else value) or []:
            # Anything but a name or the path of a class is a mapping, or a file of one.
            if re.fullmatch(r"\w+(\.\w+)*", str(model)) and not Path(str(model)).is_file():
                try:
                    _check_model(option, str(model))
                except ValueError as error:
                    parser.error(str(error))


def names(value: list[str] | str | None) -> list[str] | None:
    """The names of an option of type :data:`Names`."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def ids(value: Any) -> list[str]:
    """The type of an option that takes ids, ``0,1,2`` or ``[0, 1, 2]``: as they are typed, as YAML reads 010 as 8."""
    import yaml

    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = yaml.load(value, Loader=yaml.BaseLoader)  # builds texts only
        except yaml.YAMLError as error:
            raise ArgumentTypeError(f"must be a list such as '[one, other]' (got '{value}').") from error
    return [str(one) for one in value] if isinstance(value, list) else names(str(value)) or []


def given(args: Namespace, defaults: Namespace) -> dict[str, Any]:
    """The arguments of a group that are not at their defaults."""
    return {name: value for name, value in args.as_dict().items() if value != defaults[name]}


def said(parser: Parser, argv: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Every option and its value, in order, from the command line and from config files, before anything is parsed."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for word, value in pairwise([*words, ""]):
        if word == "--config":
            from drepm_pyg.experiments.yaml_file import read_yaml  # loads torch, which 'drepm models' does without

            try:
                yield from ((f"--{name}", stated) for name, stated in read_yaml(value).items())
            except OSError as error:
                parser.error(f"'--config' cannot be used ('{value}': {error.strerror}).")
            except ValueError as error:
                parser.error(str(error))
        elif word.startswith("--"):
            yield word, value


def _ready_made(parser: Parser, argv: Sequence[str]) -> list[str]:
    """The modalities for which a graph is given, as ``--graphs.image FILE.npz`` or under ``graphs`` in a config file.

    Any name can be a modality, so that these options cannot be known before; what is no file of a graph is an error.
    """
    from drepm_pyg.experiments import GraphOptions
    from drepm_pyg.graph.formats import FORMATS, is_graph_file

    found: dict[str, Any] = {}
    for option, value in said(parser, argv):
        if option.startswith("--graphs."):
            found[option.removeprefix("--graphs.")] = value
        elif option == "--graphs" and isinstance(value, dict):
            found |= value
    known = sorted(set(vars(GraphOptions())) - {"files"})
    ready = {name: value for name, value in found.items() if name not in known}
    for name, value in ready.items():
        if not is_graph_file(value):
            *others, last = FORMATS
            parser.error(
                f"'--graphs.{name}' must be the file of a graph, which ends in {', '.join(others)} or {last} (got "
                f"'{value}'), or one of the options {', '.join(known)}."
            )
    return list(ready)


def _check_model(option: str, model: str) -> None:
    from drepm_pyg.experiments.experiment import model_class
    from drepm_pyg.models import available_models, get_model

    module, _, name = model.rpartition(".")
    if module and not f"{module}.".startswith("drepm_pyg."):
        try:
            model_class(model)
        except (ImportError, ValueError) as error:
            raise ValueError(f"'{option}' must be the path of a model's class (got '{model}': {error}).") from error
        return
    known = [get_model(name).__name__ for name in available_models()]
    if name not in known:
        raise ValueError(
            f"'{option}' must be one of {', '.join(known)}, or the path of a class (got '{model}')."
            f"{did_you_mean(name, known)}"
        )
