"""A recommender behind HTTP: its questions as paths, its answers as JSON."""

from typing import TYPE_CHECKING, Annotated, Any

from drepm_pyg._checks import require
from drepm_pyg.recommend.answers import described_items, item_numbers, user_numbers
from drepm_pyg.recommend.recommender import Recommender

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["service"]

#: How original ids are asked for.
_WAY = "original_ids=true"


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
        users = user_numbers(recommender, user, original=original_ids, way=_WAY)
        best = recommender.recommend(users, k, exclude_seen=exclude_seen)
        return [
            {"user": one, "items": described_items(recommender, *row)}
            for one, *row in zip(user if original_ids else users.tolist(), *best, strict=True)
        ]

    @app.get("/recommend_for_history")
    def recommend_for_history(item: ids, k: int = 10, original_ids: bool = False) -> list[dict[str, Any]]:
        items = item_numbers(recommender, item, original=original_ids, way=_WAY)
        best = recommender.recommend_for_history(items, k)
        return [{"history": item if original_ids else items.tolist(), "items": described_items(recommender, *best)}]

    @app.get("/similar_items")
    def similar_items(item: ids, k: int = 10, original_ids: bool = False) -> list[dict[str, Any]]:
        items = item_numbers(recommender, item, original=original_ids, way=_WAY)
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
