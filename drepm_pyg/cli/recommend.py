"""``drepm recommend``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format, add_source, ids
from drepm_pyg.cli.messages import naming
from drepm_pyg.cli.output import show

if TYPE_CHECKING:
    from drepm_pyg.recommend import Recommender
    from drepm_pyg.typing import Tensor

__all__ = ["open_recommender", "parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm recommend``."""
    parser = Parser("recommend", "Recommend items to users, for a history, or beside an item.")
    parser.add_argument("run", type=str, help="the folder of a finished run, or one that --save wrote")
    parser.add_argument("--users", type=ids, default=None, help="known users, such as 0,1,2")
    parser.add_argument("--history", type=ids, default=None, help="the items of one new user")
    parser.add_argument("--similar", type=ids, default=None, help="items whose neighbours are asked for")
    parser.add_argument(
        "--original_ids", type=bool, default=False, help="users and items are given by the ids that the data came with"
    )
    parser.add_argument("--k", type=int, default=10, help="items for each of them")
    parser.add_argument("--exclude_seen", type=bool, default=True, help="leave out what a user has in training")
    add_source(parser)
    parser.add_argument(
        "--save", type=str | None, default=None, help="write a recommender that needs no data and no model"
    )
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Print a row per recommendation."""
    from drepm_pyg.recommend.answers import item_numbers, user_numbers

    if args.users is args.history is args.similar is args.save is None:
        raise ValueError("Nothing to do: pass '--users', '--history', '--similar' or '--save'.")
    for name in ("users", "history", "similar"):
        if args[name] == []:
            raise ValueError(f"'--{name}' must name at least one id (got none).")
    recommender = open_recommender(args.run, args.data)
    if args.save is not None:
        with naming(path="--save"):
            recommender.save(args.save)
    rows: list[dict[str, Any]] = []
    typed: dict[str, Any] = {"original": args.original_ids, "way": "--original_ids true"}
    if args.users is not None:
        with naming(user_ids="--users", k="--k"):
            numbers = user_numbers(recommender, args.users, **typed)
            best = recommender.recommend(numbers, args.k, exclude_seen=args.exclude_seen)
        for user, *found in zip(args.users, *best, strict=True):
            rows += _rows(f"user {user}", recommender, *found)
    if args.history is not None:
        with naming(item_ids="--history", k="--k"):
            numbers = item_numbers(recommender, args.history, **typed)
            best = recommender.recommend_for_history(numbers, args.k)
        rows += _rows("history", recommender, *best)
    if args.similar is not None:
        with naming(item_ids="--similar", k="--k"):
            numbers = item_numbers(recommender, args.similar, **typed)
            best = recommender.similar_items(numbers, args.k)
        for item, *found in zip(args.similar, *best, strict=True):
            rows += _rows(f"item {item}", recommender, *found)
    show(rows, args.format, ids={"item"})


def open_recommender(path: str, source: str | None) -> "Recommender":
    """The recommender of a run, or the saved one in a folder."""
    from drepm_pyg.recommend import Recommender
    from drepm_pyg.recommend.storage import HEADER

    if (Path(path) / HEADER).exists():
        if source is not None:
            raise ValueError(
                f"'--data' is for a run; a saved recommender needs no data (got '{source}' for '{path}'). Leave it out."
            )
        return Recommender.load(path)
    from drepm_pyg.experiments import load_trained

    return Recommender(*load_trained(path, source=source))


def _rows(asked: str, recommender: "Recommender", scores: "Tensor", ids: "Tensor") -> list[dict[str, Any]]:
    from drepm_pyg.recommend.answers import described_items

    items = described_items(recommender, scores, ids)
    return [{"for": asked, "rank": rank, **item} for rank, item in enumerate(items, start=1)]
