"""Features from a knowledge graph, against a dense TF-IDF and SVD."""

import math

import numpy as np
import pandas as pd
import torch

from drepm_pyg.data import knowledge_features
from drepm_pyg.data.freebase import realign_links

ITEMS = ["a", "b", "c", "d", "e"]
LINK = pd.DataFrame({"item_id": ["a", "b", "c", "d", "zz"], "entity_id": ["m.a", "m.b", "m.c", "m.none", "m.z"]})
TRIPLES = [
    ("m.a", "director", "m.x"),
    ("m.b", "director", "m.x"),
    ("m.a", "actor", "m.y"),
    ("m.c", "actor", "m.y"),
    ("m.y", "acted_in", "m.a"),
    ("m.b", "genre", "m.g"),
    ("m.b", "sequel", "m.c"),
    ("m.b", "genre", "m.g"),  # said twice, counted once
    ("m.q", "genre", "m.g"),
]
KG = pd.DataFrame(TRIPLES, columns=["head_id", "relation_id", "tail_id"])


def dense_tf_idf() -> np.ndarray:
    entity = dict(zip(LINK["item_id"], LINK["entity_id"], strict=True))
    facts = [
        {(r, ">", t) for h, r, t in TRIPLES if h == entity.get(item)}
        | {(r, "<", h) for h, r, t in TRIPLES if t == entity.get(item)}
        for item in ITEMS
    ]
    tokens = sorted(set().union(*facts))
    described = sum(map(bool, facts))
    rows = np.zeros((len(ITEMS), len(tokens)))
    for row, known in enumerate(facts):
        for token in known:
            rows[row, tokens.index(token)] = 1 + math.log(described / sum(token in other for other in facts))
        if known:
            rows[row] /= np.linalg.norm(rows[row])
    return rows


def test_all_coordinates_keep_every_cosine() -> None:
    features, mask = knowledge_features(KG, LINK, ITEMS)
    assert mask.tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(features @ features.T, dense_tf_idf() @ dense_tf_idf().T, atol=1e-6)


def test_fewer_coordinates_are_the_leading_ones_of_the_svd() -> None:
    features, _ = knowledge_features(KG, LINK, ITEMS, width=2)
    u, s, _ = np.linalg.svd(dense_tf_idf(), full_matrices=False)
    expected = u[:3, :2] * s[:2]
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), np.arange(2)])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(features[:3], expected, atol=1e-6)
    assert not features[3:].any()


def test_the_order_of_triples_and_links_does_not_matter() -> None:
    one, _ = knowledge_features(KG, LINK, ITEMS)
    other, _ = knowledge_features(KG.iloc[::-1], LINK.iloc[::-1], ITEMS)
    assert torch.equal(one, other)


def test_two_items_may_be_one_entity() -> None:
    link = pd.concat([LINK, pd.DataFrame({"item_id": ["e"], "entity_id": ["m.a"]})])
    features, mask = knowledge_features(KG, link, ITEMS)
    assert mask.tolist() == [True, True, True, False, True]
    torch.testing.assert_close(features[0], features[4])


def test_an_item_beyond_the_leading_directions_has_no_features() -> None:
    # Two pairs share their one fact (energy 2 each); the facts of the last four are private (energy 1).
    items = list("abcdefgh")
    link = pd.DataFrame({"item_id": items, "entity_id": items})
    facts = [(item, "genre", fact) for item, fact in zip(items, "1122efgh", strict=True)]
    kg = pd.DataFrame(facts, columns=["head_id", "relation_id", "tail_id"])
    features, mask = knowledge_features(kg, link, items, width=2)
    assert mask.tolist() == [True] * 4 + [False] * 4
    assert not features[4:].any()
    together = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2))
    torch.testing.assert_close(features[:4] @ features[:4].T, together)


def test_coordinates_are_no_more_than_the_items_with_facts() -> None:
    assert knowledge_features(KG, LINK, ITEMS, width=2)[0].shape == (5, 2)
    assert knowledge_features(KG, LINK, ITEMS, width=4)[0].shape == (5, 3)


def test_no_facts_no_features() -> None:
    features, mask = knowledge_features(KG.iloc[:0], LINK, ITEMS, width=3)
    assert features.shape == (5, 3)
    assert not features.any()
    assert not mask.any()


def test_links_other_than_recboles_are_left_as_they_are() -> None:
    assert realign_links(LINK) is LINK
