"""EpochTriples: every pair once an epoch, drawn by the seed and the epoch alone."""

from collections import Counter

import pytest
import torch

from drepm_pyg.data import build_data
from drepm_pyg.training import EpochTriples
from tests import toy


def test_an_epoch_is_every_pair_once_with_a_free_negative() -> None:
    data = toy.toy_data()
    edge_index = data["user", "interacts", "item"].edge_index
    known = set(map(tuple, edge_index.T.tolist()))
    triples = EpochTriples(data, batch_size=16)
    batches = list(triples.epoch(0))
    assert [len(batch) for batch in batches] == [16, 16, 13]
    assert len(triples) == 3
    pairs = [pair for batch in batches for pair in zip(batch.user.tolist(), batch.positive.tolist(), strict=True)]
    assert sorted(pairs) == sorted(known)
    assert not any(pair in known for b in batches for pair in zip(b.user.tolist(), b.negative.tolist(), strict=True))


def test_epochs_differ_and_depend_on_the_seed_alone() -> None:
    data = toy.toy_data()

    def draw(seed: int, epoch: int) -> list[int]:
        return torch.cat([batch.positive for batch in EpochTriples(data, seed=seed).epoch(epoch)]).tolist()

    assert draw(0, 1) == draw(0, 1)
    assert draw(0, 1) != draw(0, 2)
    assert draw(0, 1) != draw(1, 1)


def test_every_order_of_many_pairs_is_as_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.training.triples._CACHED", 3)
    data = build_data(4, 9, torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]]))
    triples = EpochTriples(data)
    orders = Counter(tuple(next(triples.epoch(epoch)).positive.tolist()) for epoch in range(2400))
    assert len(orders) == 24
    chi_square = sum((count - 100) ** 2 / 100 for count in orders.values())
    assert chi_square < 49.7  # 23 degrees of freedom: exceeded once in 1,000


def test_many_pairs_are_shuffled_on_their_device_whatever_the_default_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.training.triples._CACHED", 3)
    triples = EpochTriples(toy.toy_data())
    with torch.device("meta"):
        batch = next(triples.epoch(0))
    assert batch.positive.tolist() == next(triples.epoch(0)).positive.tolist()


@pytest.mark.errors
def test_data_without_training_pairs_are_refused_and_stay_as_they_were() -> None:
    with pytest.raises(ValueError, match=r"must have at least one training pair \(got an empty edge_index\)"):
        EpochTriples(build_data(2, 3, torch.empty(2, 0, dtype=torch.long)))
    data = toy.toy_data()
    del data["user", "interacts", "item"]
    kinds = list(data.edge_types)
    with pytest.raises(ValueError, match=r"must have at least one training pair \(got no edge_index\)"):
        EpochTriples(data)
    assert data.edge_types == kinds
