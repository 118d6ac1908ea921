"""A recommender behind HTTP: its questions as paths, its answers as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import torch

from drepm_pyg._checks import require
from drepm_pyg.recommend.recommender import Recommender
from drepm_pyg.typing import Int, Tensor

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["described_items", "item_numbers", "service", "user_numbers"]


def service(recommender: Recommender) -> "FastAPI":
    """The ASGI application that ``drepm serve`` runs; any ASGI server takes it.

    ============================  ========================================  =========================================
    path                          parameters                                what it asks
    ============================  ========================================  =========================================
    ``/recommend``                ``user`` (may repeat), ``k``,             :meth:`Recommender.recommend`
                                  ``exclude_seen``
    ``/recommend_for_history``    ``item`` (may repeat), ``k``              :meth:`Recommender.recommend_for_history`
    ``/similar_items``            ``item`` (may repeat), ``k``              :meth:`Recommender.similar_items`
    ``/health``                                                             how many users and items there are
    ============================  ========================================  =========================================

    An answer is a list with an entry for each id: the id, and its items with scores, best first, and original ids and
    titles where the data have them. With ``original_ids=true``, users and items are asked for by their original ids.
    What the recommender refuses is status 400 with its words, a parameter of the wrong type 422.

    Args:
        recommender: answers.

    Raises:
        MissingExtraError: without the extra ``serve``.
    """
    fastapi = require("fastapi", extra="serve", purpose="service()")
    from fastapi.responses import JSONResponse

    app: FastAPI = fastapi.FastAPI(title="drepm_pyg", description="Recommendations of a trained model.")
    ids = Annotated[list[str], fastapi.Query()]

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "users": recommender.num_users, "items": recommender.num_items}

    @app.get("/recommend")
    def recommend(
        user: ids, k: int = 10, exclude_seen: bool = True, original_ids: bool = False
    ) -> list[dict[str, Any]]:
        users = user_numbers(recommender, user, original=original_ids)
        best = recommender.recommend(users, k, exclude_seen=exclude_seen)
        return [
            {"user": one, "items": described_items(recommender, *row)}
            for one, *row in zip(user if original_ids else users.tolist(), *best, strict=True)
        ]

    @app.get("/recommend_for_history")
    def recommend_for_history(item: ids, k: int = 10, original_ids: bool = False) -> list[dict[str, Any]]:
        items = item_numbers(recommender, item, original=original_ids)
        best = recommender.recommend_for_history(items, k)
        return [{"history": item if original_ids else items.tolist(), "items": described_items(recommender, *best)}]

    @app.get("/similar_items")
    def similar_items(item: ids, k: int = 10, original_ids: bool = False) -> list[dict[str, Any]]:
        items = item_numbers(recommender, item, original=original_ids)
        best = recommender.similar_items(items, k)
        return [
            {"item": one, "items": described_items(recommender, *row)}
            for one, *row in zip(item if original_ids else items.tolist(), *best, strict=True)
        ]

    @app.exception_handler(ValueError)
    @app.exception_handler(TypeError)
    def refused(_request: Any, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=400)

    return app


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


def user_numbers(recommender: Recommender, users: Sequence[str], *, original: bool) -> Int[Tensor, " B"]:
    """Users as somebody typed them: by number, or by original id."""
    return recommender.user_numbers(users) if original else _whole_numbers(users, "user_ids")


def item_numbers(recommender: Recommender, items: Sequence[str], *, original: bool) -> Int[Tensor, " B"]:
    """Items as somebody typed them: by number, or by original id."""
    return recommender.item_numbers(items) if original else _whole_numbers(items, "item_ids")


def _whole_numbers(typed: Sequence[str], name: str) -> Int[Tensor, " B"]:
    try:
        return torch.tensor([int(number) for number in typed], dtype=torch.long)
    except ValueError as error:
        raise ValueError(
            f"'{name}' must be whole numbers (got {list(typed)[:5]}). Original ids are taken with 'original_ids=true'."
        ) from error
