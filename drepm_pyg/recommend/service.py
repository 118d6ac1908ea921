"""A recommender behind HTTP: its questions as paths, its answers as JSON."""

from typing import TYPE_CHECKING, Annotated, Any

from drepm_pyg._checks import require
from drepm_pyg.recommend.recommender import Recommender
from drepm_pyg.typing import Tensor

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["described_items", "service"]


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

    An answer is a list with an entry for each id: the id, and its items with scores, best first, and titles where the
    data have them. What the recommender refuses is status 400 with its words, a parameter of the wrong type 422.

    Args:
        recommender: answers.

    Raises:
        MissingExtraError: without the extra ``serve``.
    """
    fastapi = require("fastapi", extra="serve", purpose="service()")
    from fastapi.responses import JSONResponse

    app: FastAPI = fastapi.FastAPI(title="drepm_pyg", description="Recommendations of a trained model.")
    ids = Annotated[list[int], fastapi.Query()]

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "users": recommender.num_users, "items": recommender.num_items}

    @app.get("/recommend")
    def recommend(user: ids, k: int = 10, exclude_seen: bool = True) -> list[dict[str, Any]]:
        best = recommender.recommend(user, k, exclude_seen=exclude_seen)
        return [
            {"user": one, "items": described_items(recommender, *row)} for one, *row in zip(user, *best, strict=True)
        ]

    @app.get("/recommend_for_history")
    def recommend_for_history(item: ids, k: int = 10) -> list[dict[str, Any]]:
        return [{"history": item, "items": described_items(recommender, *recommender.recommend_for_history(item, k))}]

    @app.get("/similar_items")
    def similar_items(item: ids, k: int = 10) -> list[dict[str, Any]]:
        best = recommender.similar_items(item, k)
        return [
            {"item": one, "items": described_items(recommender, *row)} for one, *row in zip(item, *best, strict=True)
        ]

    @app.exception_handler(ValueError)
    @app.exception_handler(TypeError)
    def refused(_request: Any, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=400)

    return app


def described_items(recommender: Recommender, scores: Tensor, ids: Tensor) -> list[dict[str, Any]]:
    """The items of one answer, best first: id, title where the data have them, score.

    Where there are fewer candidates than asked for, the answer ends in -1, and the list before it.
    """
    titles = recommender.titles
    return [
        {"item": item, **({} if titles is None else {"title": titles[item]}), "score": score}
        for score, item in zip(scores.tolist(), ids.tolist(), strict=True)
        if item >= 0
    ]
