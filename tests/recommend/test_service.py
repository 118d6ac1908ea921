"""The recommender over HTTP against the recommender itself."""

import pytest
import torch

from drepm_pyg.models import Representations
from drepm_pyg.recommend import Recommender
from drepm_pyg.recommend.service import service
from tests import toy

pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient")


@pytest.fixture
def recommender() -> Recommender:
    data = toy.toy_data()
    data["item"].title = [f"film {number}" for number in range(toy.ITEMS)]
    data["item"].item_id = [f"B{number:02d}" for number in range(toy.ITEMS)]
    data["user"].user_id = [f"u{number}" for number in range(toy.USERS)]
    generator = torch.Generator().manual_seed(0)
    tables = (torch.randn(rows, 4, generator=generator) for rows in (toy.USERS, toy.ITEMS))
    return Recommender(Representations(*tables), data)


@pytest.fixture
def client(recommender: Recommender) -> "testclient.TestClient":
    return testclient.TestClient(service(recommender))


def test_answers_are_those_of_the_recommender(recommender: Recommender, client: "testclient.TestClient") -> None:
    answers = client.get("/recommend", params={"user": [3, 0], "k": 4}).json()
    best = recommender.recommend([3, 0], 4)
    assert [answer["user"] for answer in answers] == [3, 0]
    assert [[row["item"] for row in answer["items"]] for answer in answers] == best.ids.tolist()
    assert [[row["score"] for row in answer["items"]] for answer in answers] == best.scores.tolist()
    assert answers[0]["items"][0]["title"] == f"film {best.ids[0, 0]}"
    all_items = client.get("/recommend", params={"user": 3, "k": toy.ITEMS, "exclude_seen": False}).json()
    assert len(all_items[0]["items"]) == toy.ITEMS
    similar = client.get("/similar_items", params={"item": 2, "k": 3}).json()
    assert [row["item"] for row in similar[0]["items"]] == recommender.similar_items(2, 3).ids.tolist()
    history = client.get("/recommend_for_history", params={"item": [1, 5], "k": 3}).json()
    assert history[0]["history"] == [1, 5]
    assert [row["item"] for row in history[0]["items"]] == recommender.recommend_for_history([1, 5], 3).ids.tolist()
    assert client.get("/health").json() == {"status": "ok", "users": toy.USERS, "items": toy.ITEMS}


def test_original_ids_ask_the_same(client: "testclient.TestClient") -> None:
    for path, name, number, original in (
        ("/recommend", "user", 3, "u3"),
        ("/similar_items", "item", 2, "B02"),
        ("/recommend_for_history", "item", 2, "B02"),
    ):
        (by_number,) = client.get(path, params={name: number, "k": 3}).json()
        (by_id,) = client.get(path, params={name: original, "k": 3, "original_ids": True}).json()
        assert by_id["items"] == by_number["items"]
        assert by_id.get(name, [original]) in (original, [original])
    assert [row["item_id"] for row in by_id["items"]] == [f"B{row['item']:02d}" for row in by_id["items"]]


def test_a_row_ends_where_candidates_do(recommender: Recommender, client: "testclient.TestClient") -> None:
    (answer,) = client.get("/recommend", params={"user": 0, "k": toy.ITEMS}).json()
    assert len(answer["items"]) == toy.ITEMS - len(recommender.history(0)) < toy.ITEMS


@pytest.mark.errors
def test_what_is_refused_says_why(client: "testclient.TestClient") -> None:
    refused = client.get("/recommend", params={"user": 99})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("'user_ids' must hold ids in [0, 13)")
    refused = client.get("/recommend", params={"user": "anna"})
    assert refused.status_code == 400
    assert refused.json()["error"] == (
        "'user_ids' must be whole numbers (got ['anna']). Original ids are taken with 'original_ids=true'."
    )
    refused = client.get("/similar_items", params={"item": "B99", "original_ids": True})
    assert refused.json()["error"] == (
        "'item_ids' must be original ids of the data, such as 'B00', 'B01', 'B02' (got 1 that are none: ['B99'])."
    )
    assert client.get("/recommend", params={"user": 3, "k": "many"}).status_code == 422
    assert client.get("/recommend").status_code == 422
    assert client.get("/nothing").status_code == 404
