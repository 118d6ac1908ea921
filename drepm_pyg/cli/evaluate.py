"""``drepm evaluate``."""

from collections.abc import Sequence
from typing import Literal

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format, add_source
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm evaluate``."""
    parser = Parser("evaluate", "Rank all items for every user with held-out pairs.")
    parser.add_argument("run", type=str, help="the folder of a finished run, such as runs/lightgcn-seed0")
    add_source(parser)
    parser.add_argument("--split", type=Literal["val", "test"], default="test", help="whose pairs are ranked")
    parser.add_argument("--ks", type=list[int], default=[10, 20], help="cut-offs")
    parser.add_argument("--metrics", type=list[str], default=["recall", "ndcg"], help="names of the metrics")
    parser.add_argument(
        "--exclude", type=list[str], default=["train"], help="splits whose pairs are left out of the ranking"
    )
    parser.add_argument("--lines", type=bool, default=False, help="also the behaviour and the modal line alone")
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Print a record, or a row per line."""
    from drepm_pyg.evaluation import evaluate
    from drepm_pyg.evaluation.scoring import ranked_by
    from drepm_pyg.experiments import load_trained
    from drepm_pyg.models import Representations

    model, data = load_trained(args.run, source=args.data)
    ranked = ranked_by(model, data)
    lines = ranked.lines() if args.lines and isinstance(ranked, Representations) else {"general": ranked}
    options = {"split": args.split, "ks": args.ks, "metrics": args.metrics, "exclude": args.exclude}
    rows = [{"line": name, "split": args.split, **evaluate(line, data, **options)} for name, line in lines.items()]
    if args.lines:
        show(rows, args.format)
    else:
        del rows[0]["line"]
        show(rows[0], args.format)
