"""The table of commands and their exit status; a command's module is imported when it is called."""

import argparse
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from drepm_pyg import __version__

__all__ = ["COMMANDS", "main"]

#: What each command does; ``drepm_pyg.cli.<name>`` has ``parser(argv)`` and ``run(args)``.
COMMANDS = {
    "data": "convert, validate, describe and download data sets",
    "graph": "build a similarity graph from a feature matrix",
    "fit": "train a model",
    "evaluate": "rank the held-out pairs of a trained run",
    "recommend": "recommend items with a trained run",
    "serve": "answer over HTTP what 'recommend' answers",
    "reproduce": "make the paper's tables and figures on any data set",
    "sweep": "search for the settings of models on validation",
    "models": "list the models",
    "demo": "train and compare four models on MovieLens-100k",
    "doctor": "show versions, devices and optional parts, and prove that FAISS searches",
}

_EXPECTED = (ValueError, TypeError, LookupError, OSError, ImportError, ArithmeticError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 where it is done, 1 after an error (one line on stderr; ``--debug`` shows the traceback), 2 where the command
        line is wrong, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    command = "drepm"
    paths: dict[str, Path] = {}
    if "torch" not in sys.modules:
        # Our own process: large tables in large pages (Linux), so that rows all over them are found faster.
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        name = _top_parser().parse_args(arguments[:1]).command
        command = f"drepm {name}"
        module = import_module(f"drepm_pyg.cli.{name}")
        rest = arguments[1:]
        parser = module.parser(rest)
        args = parser.parse_args(rest)
        paths = _paths(parser, args)
        return int(module.run(args) or 0)
    except SystemExit as end:  # --help, --version, a wrong command line
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt as stop:
        print(f"{command}: {str(stop) or 'stopped.'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout has gone, as head does
        sys.stderr.close()
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        kind = "" if isinstance(error, _EXPECTED) else f"{type(error).__name__}: "
        print(f"{command}: error: {kind}{_one_line(error, paths)}", file=sys.stderr)
        return 1


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="drepm",
        usage="drepm [--version] [--debug] COMMAND ...",
        description="Dual-representation multimodal recommendation.",
        epilog=f"commands ('drepm COMMAND --help' says more):\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"drepm_pyg {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("command", metavar="COMMAND", choices=list(COMMANDS), help=argparse.SUPPRESS)
    return parser


def _paths(parser: argparse.ArgumentParser, args: Any) -> dict[str, Path]:
    """What may be a path among the arguments, by the option as it is typed."""
    typed = {action.dest: (action.option_strings or [action.dest])[-1] for action in parser._actions}
    return {typed[name]: Path(value) for name, value in vars(args).items() if value and isinstance(value, str | Path)}


def _one_line(error: BaseException, paths: Mapping[str, Path]) -> str:
    if isinstance(error, OSError) and isinstance(error.filename, str | Path):  # raised by the system
        over = {name: path for name, path in paths.items() if Path(error.filename).is_relative_to(path)}
        option = max(over, key=lambda name: len(over[name].parts), default=None)
        if option is not None:
            return f"'{option}' cannot be used ('{error.filename}': {error.strerror})."
        return f"'{error.filename}' cannot be used ({error.strerror})."
    # The text of a KeyError is the repr of its argument.
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or type(error).__name__
