"""``drepm sweep``."""

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from inspect import signature

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Names, Parser, add_format, add_graphs, check_graphs, check_models, names
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm sweep``: those of the search, and of the graphs."""
    from drepm_pyg.experiments import sweep

    parser = Parser("sweep", "Search for the settings of models: equal numbers of trials, chosen on validation alone.")
    parser.add_argument("--data", type=str, required=True, help="a data set's path, 'movielens' or 'synthetic'")
    parser.add_argument(
        "--models",
        type=Names,
        default=None,
        help="names as LightGCN,BPR, or paths of classes; default: all that come with a search space",
    )
    check_models(parser, argv, "--models")
    parser.add_argument("--modalities", type=Names, default=None, help="such as text,audio; null: all of the data")
    parser.add_argument(
        "--spaces", type=str | None, default=None, help="a folder of <Model>.yaml files that go before the library's"
    )
    parser.add_function_arguments(sweep, skip={"data", "models", "modalities", "spaces", "graphs"})
    add_graphs(parser, argv)
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Search, and print the best settings of every model."""
    from drepm_pyg.experiments import GraphOptions, sweep
    from drepm_pyg.experiments.experiment import model_class
    from drepm_pyg.models import available_models

    options = {name: value for name, value in args.as_dict().items() if name not in ("config", "format")}
    options |= {name: names(options[name]) for name in ("models", "modalities")}
    check_graphs(options["graphs"], [model_class(name) for name in options["models"] or available_models()])
    files = {name: path for name, path in options["graphs"].items() if name not in signature(GraphOptions).parameters}
    known = {name: value for name, value in options["graphs"].items() if name not in files}
    options["graphs"] = GraphOptions(**known, files=files)
    with redirect_stdout(sys.stderr):  # what trainers print is no result
        found = sweep(**options)
    # A table shows the settings as a text, which JSON would quote.
    table = [{**row, "settings": json.loads(row["settings"] or "null")} for row in found.table]
    show(table if args.format == "json" else found.table, args.format)
    print(f"All trials: {found.path / 'trials.csv'}; the best settings: {found.path}/<Model>.yaml", file=sys.stderr)
