"""What somebody typed as ids, and answers as somebody reads them: for the command line and over HTTP."""

from collections.abc import Sequence
from typing import Any

import torch

from drepm_pyg.recommend.recommender import Recommender
from drepm_pyg.typing import Int, Tensor

__all__ = ["described_items", "item_numbers", "user_numbers"]


def described_items(recommender: Recommender, scores: Tensor, ids: Tensor) -> list[dict[str, Any]]:
    """The items of one answer, best first: number, original id and title where the data have them, score.

    Where there are fewer candidates than asked for, the answer ends in -1, and the list before it.
    """
    names = {"item_id": recommender.item_ids, "title": recommender.titles}
    known = {key: values for key, values in names.items() if values is not None}
    return [
        {"item": item, **{key: values[item] for key, values in known.items()}, "score": score}
        for score, item in zip(scores.tolist(), ids.tolist(), strict=True)
        if item >= 0
    ]


def user_numbers(recommender: Recommender, users: Sequence[str], *, original: bool, way: str) -> Int[Tensor, " B"]:
    """Users as somebody typed them: by number, or by original id.

    Raises:
        ValueError: where one is no whole number or no original id; ``way`` is how original ids are asked for.
    """
    return recommender.user_numbers(users) if original else _whole_numbers(users, "user_ids", way)


def item_numbers(recommender: Recommender, items: Sequence[str], *, original: bool, way: str) -> Int[Tensor, " B"]:
    """Items as somebody typed them, like :func:`user_numbers`."""
    return recommender.item_numbers(items) if original else _whole_numbers(items, "item_ids", way)


def _whole_numbers(typed: Sequence[str], name: str, way: str) -> Int[Tensor, " B"]:
    try:
        return torch.tensor([int(number) for number in typed], dtype=torch.long)
    except ValueError as error:
        raise ValueError(
            f"'{name}' must be whole numbers (got {list(typed)[:5]}). Original ids are taken with '{way}'."
        ) from error
