"""``drepm demo``."""

import sys
from collections.abc import Sequence

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm demo``."""
    parser = Parser("demo", "Train most-popular, BPR, LightGCN and DRepMRec on MovieLens-100k and compare them.")
    parser.add_argument("--root", type=str, default=".demo", help="where downloads, runs and the report go")
    parser.add_argument("--offline", action="store_true", help="take synthetic data: nothing is downloaded")
    parser.add_argument("--short", action="store_true", help="two epochs a model, to see that everything works")
    parser.add_argument("--seed", type=int, default=0, help="of weights and triples")
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Print the table; the recommendations follow it where it is one for people."""
    from drepm_pyg.experiments.demo import demo

    made = demo(args.root, offline=args.offline, short=args.short, seed=args.seed)
    show(made.table, args.format)
    if args.format == "table":
        _, _, rest = made.report.read_text(encoding="utf-8").partition("## Recommendations")
        print(f"\n## Recommendations{rest}")
    print(f"The report with its pictures: {made.report}", file=sys.stderr)
