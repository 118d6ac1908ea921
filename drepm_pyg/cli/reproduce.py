"""``drepm reproduce``."""

import sys
from argparse import Action
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Names, Parser, add_format, names
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm reproduce``."""
    parser = Parser("reproduce", "Make the paper's tables and figures on any data set, or your own experiments.")
    add = parser.add_argument
    text = "table1 ... figure9b, or files of your own; default: all of the paper"
    add("experiments", type=str, nargs="*", action=_Named, default=[], help=text)
    add("--data", type=str | None, default=None, help="a path, 'movielens' or 'synthetic'; default: what the files say")
    add("--seeds", type=int | dict[str, int] | None, default=None, help="per row, or such as '{BPR: 1, MGCN: 5}'")
    add("--root", type=str, default="runs/reproduce", help="where runs and results go")
    add("--cache", type=str, default="runs/.cache", help="where downloads and graphs are kept")
    add("--jobs", type=int, default=1, help="runs at once, each with its share of the threads")
    add("--report", action="store_true", help="write one HTML page with everything, too")
    add("--short", action="store_true", help="two epochs a run and one seed, to see that everything works")
    add("--results", type=str | None, default=None, help="a folder of finished runs without weights, read and added to")
    add("--settings", type=str | None, default=None, help="a folder of <Model>.yaml files, as a sweep writes them")
    add("--modalities", type=Names, default=None, help="such as text,audio; default: as the settings say, or all")
    add("--label", type=str | None, default=None, help="how tables call the data; default: the last part of its path")
    add("--set", type=dict[str, Any], default={}, help="for every run, such as '{max_epochs: 100}' (dotted keys)")
    add_format(parser)
    return parser


class _Named(Action):
    """None on the command line leaves those of a config file."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if values:
            setattr(namespace, self.dest, values)


def run(args: Namespace) -> int:
    """Print every table and the captions of the figures; the status is 1 where a run failed."""
    from drepm_pyg.experiments import reproduce

    options = {name: value for name, value in args.as_dict().items() if name not in ("config", "format", "set")}
    options["modalities"] = names(options["modalities"])
    with redirect_stdout(sys.stderr):  # what trainers print is no result
        made = reproduce(**options, overrides=args.as_dict()["set"])
    if args.format == "table":
        print("\n\n".join(output.to_markdown() for output in made.outputs))
    else:
        show([dict(record) for output in made.outputs for record in output.records], args.format)
    print(f"Tables and figures: {made.folder}", file=sys.stderr)
    if made.report is not None:
        print(f"The report: {made.report}", file=sys.stderr)
    for failure in made.failures:
        print(f"drepm reproduce: FAILED: {failure}", file=sys.stderr)
    return int(bool(made.failures))
