"""Distinct ids and known positives of a batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drepm_pyg.nn.functional import false_negative_mask, first_occurrences

ids = st.integers(0, 6)
pairs = st.lists(st.tuples(ids, ids), max_size=25)


def columns(listed: list[tuple[int, int]]) -> torch.Tensor:
    return torch.tensor(listed, dtype=torch.long).reshape(-1, 2).T.contiguous()


@given(st.lists(ids, max_size=12))
def test_first_occurrences_are_those_of_a_dictionary(listed: list[int]) -> None:
    rows = first_occurrences(torch.tensor(listed, dtype=torch.long))
    assert rows.tolist() == [listed.index(one) for one in dict.fromkeys(listed)]


@given(pairs, pairs)
def test_known_positives_are_those_of_a_set(batch: list[tuple[int, int]], training: list[tuple[int, int]]) -> None:
    (user, item), known = columns(batch), set(training)
    mask = false_negative_mask(user, item, columns(training))
    expected = [
        [(int(u), int(i)) in known and b != c for c, i in enumerate(item)] for b, u in enumerate(user)
    ]  # b for pairs, c for their items
    assert mask.dtype == torch.bool
    assert mask.tolist() == expected


def test_the_masks_follow_a_change_of_the_training_pairs() -> None:
    user, item, edge_index = torch.tensor([0, 1]), torch.tensor([5, 6]), torch.tensor([[0, 1], [6, 6]])
    assert false_negative_mask(user, item, edge_index).tolist() == [[False, True], [False, False]]
    edge_index[0, 0] = 2
    assert not false_negative_mask(user, item, edge_index).any()


@pytest.mark.errors
def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'item' must have the shape of 'user' \(got \[3\], expected \[2\]\)"):
        false_negative_mask(torch.zeros(2).long(), torch.zeros(3).long(), torch.zeros(2, 0).long())
    with pytest.raises(ValueError, match=r"'edge_index' must have the shape \[2, E\] \(got \[3, 2\]\)"):
        false_negative_mask(torch.zeros(2).long(), torch.zeros(2).long(), torch.zeros(3, 2).long())


@pytest.mark.errors
def test_ids_are_vectors_of_integers() -> None:
    pairs, ids = torch.zeros(2, 0).long(), torch.zeros(2).long()
    with pytest.raises(TypeError, match=r"'ids' must be a torch tensor \(got a list\)"):
        first_occurrences([0, 1])
    with pytest.raises(ValueError, match=r"'ids' must be a vector of ids \(got the shape \[1, 2\]\)\. Pass ids.f"):
        first_occurrences(ids.view(1, 2))
    with pytest.raises(TypeError, match=r"'user' must be a torch tensor \(got a list\)"):
        false_negative_mask([0, 1], ids, pairs)
    with pytest.raises(TypeError, match=r"'item' must hold integer ids \(got torch.float32\)"):
        false_negative_mask(ids, ids.float(), pairs)
    with pytest.raises(ValueError, match=r"'user' must be a vector of ids \(got the shape \[1, 2\]\)\. Pass user.f"):
        false_negative_mask(ids.view(1, 2), ids.view(1, 2), pairs)
