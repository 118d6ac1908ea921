"""``drepm recommend``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

if TYPE_CHECKING:
    from drepm_pyg.recommend import Recommender

__all__ = ["open_recommender", "parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm recommend``."""
    parser = Parser("recommend", "Recommend items to users, for a history, or beside an item.")
    parser.add_argument("run", type=str, help="the folder of a finished run, or one that --save wrote")
    parser.add_argument("--users", type=list[int] | None, default=None, help="known users, such as [0,1,2]")
    parser.add_argument("--history", type=list[int] | None, default=None, help="the items of one new user")
    parser.add_argument("--similar", type=list[int] | None, default=None, help="items whose neighbours are asked for")
    parser.add_argument("--k", type=int, default=10, help="items for each of them")
    parser.add_argument("--exclude_seen", type=bool, default=True, help="leave out what a user has in training")
    parser.add_argument(
        "--data", type=str | None, default=None, help="where its data are now; default: where they were"
    )
    parser.add_argument(
        "--save", type=str | None, default=None, help="write a recommender that needs no data and no model"
    )
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Print a row per recommendation."""
    if args.users is args.history is args.similar is args.save is None:
        raise ValueError("Nothing to do: pass '--users', '--history', '--similar' or '--save'.")
    recommender = open_recommender(args.run, args.data)
    if args.save is not None:
        recommender.save(args.save)
    rows: list[dict[str, Any]] = []
    if args.users is not None:
        best = recommender.recommend(args.users, args.k, exclude_seen=args.exclude_seen)
        for user, scores, ids in zip(args.users, best.scores, best.ids, strict=True):
            rows += _rows(f"user {user}", scores, ids, recommender)
    if args.history is not None:
        offered = recommender.recommend_for_history(args.history, args.k)
        rows += _rows("history", offered.scores, offered.ids, recommender)
    if args.similar is not None:
        best = recommender.similar_items(args.similar, args.k)
        for item, scores, ids in zip(args.similar, best.scores, best.ids, strict=True):
            rows += _rows(f"item {item}", scores, ids, recommender)
    show(rows, args.format)


def open_recommender(path: str, source: str | None) -> "Recommender":
    """The recommender of a run, or the saved one in a folder."""
    from drepm_pyg.recommend import Recommender
    from drepm_pyg.recommend.storage import HEADER

    if (Path(path) / HEADER).exists():
        return Recommender.load(path)
    from drepm_pyg.experiments import load_trained

    return Recommender(*load_trained(path, source=source))


def _rows(asked: str, scores: Any, ids: Any, recommender: "Recommender") -> list[dict[str, Any]]:
    from drepm_pyg.recommend.service import described_items

    items = described_items(recommender, scores, ids)
    return [{"for": asked, "rank": rank, **item} for rank, item in enumerate(items, start=1)]
