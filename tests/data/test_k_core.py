"""The k-core against removing one node at a time."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drepm_pyg.data import ITEM_USER, USER_ITEM, build_data, k_core, random_split, similar
from drepm_pyg.data.k_core import _core_pairs, _peeled


def core_by_hand(pairs: set[tuple[int, int]], user_k: int, item_k: int) -> set[tuple[int, int]]:
    while True:
        for side, k in ((0, user_k), (1, item_k)):
            for node in {pair[side] for pair in pairs}:
                if sum(pair[side] == node for pair in pairs) < k:
                    pairs = {pair for pair in pairs if pair[side] != node}
                    break
            else:
                continue
            break
        else:
            return pairs


@given(
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 6)), min_size=1, max_size=40),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_core_is_what_removing_nodes_one_by_one_leaves(pairs: set[tuple[int, int]], user_k: int, item_k: int) -> None:
    data = build_data(
        8, 7, torch.tensor(sorted(pairs)).T.contiguous(), user_id=list("abcdefgh"), item_id=list("tuvwxyz")
    )
    expected = core_by_hand(pairs, user_k, item_k)
    if not expected:
        with pytest.raises(ValueError, match="No user and item is left"):
            k_core(data, user_k=user_k, item_k=item_k)
        return
    core = k_core(data, user_k=user_k, item_k=item_k)
    found = {
        (core["user"].user_id[user], core["item"].item_id[item]) for user, item in core[USER_ITEM].edge_index.T.tolist()
    }
    assert found == {("abcdefgh"[user], "tuvwxyz"[item]) for user, item in expected}
    assert core["user"].num_nodes == len({user for user, _ in expected}) == len(core["user"].user_id)
    assert core["item"].num_nodes == len({item for _, item in expected}) == len(core["item"].item_id)


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 6)), max_size=40),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_peeling_leaves_what_rounds_over_all_pairs_leave(pairs: list[tuple[int, int]], least: tuple[int, int]) -> None:
    edge_index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    assert torch.equal(_peeled(edge_index, [8, 7], least), _core_pairs(edge_index, [8, 7], least))


def test_a_long_chain_comes_apart_from_its_ends() -> None:
    """User u has the items u and u + 1, and the last item has one user: a round for every node."""
    user = torch.arange(100).repeat_interleave(2)
    chain = torch.stack([user, user + torch.arange(2).repeat(100)])
    square = torch.tensor([[100, 100, 101, 101], [101, 102, 101, 102]])
    core = k_core(build_data(102, 103, torch.cat([chain, square], dim=1)), 2)
    assert core[USER_ITEM].edge_index.tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    with pytest.raises(ValueError, match="No user and item is left"):
        k_core(build_data(100, 101, chain), 2)


def test_rows_go_with_their_items() -> None:
    pairs = torch.tensor([[0, 0, 2, 2, 1], [1, 3, 1, 3, 0]])
    data = build_data(
        3,
        5,
        pairs,
        features={"text": torch.arange(5.0)[:, None]},
        masks={"text": torch.tensor([True, False, True, True, True])},
        rating=torch.arange(5.0),
        title=list("abcde"),
    )
    data["item"].item_id, data["item"].price = tuple("vwxyz"), np.arange(5.0)
    data[USER_ITEM].edge_attr = torch.arange(10.0).view(5, 2)
    core = k_core(data, 2)
    assert core["item"].text.flatten().tolist() == [1.0, 3.0]
    assert core["item"].text_mask.tolist() == [False, True]
    assert core["item"].title == ["b", "d"]
    assert core["item"].item_id == ["w", "y"]
    assert core["item"].price.tolist() == [1.0, 3.0]
    assert core[USER_ITEM].edge_index.tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert core[USER_ITEM].rating.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert core[USER_ITEM].edge_attr.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert torch.equal(core[ITEM_USER].edge_index, core[USER_ITEM].edge_index.flip(0))
    assert (data["item"].num_nodes, len(data["item"].title)) == (5, 5)


def test_edges_of_ones_own_go_with_the_users_and_items_that_are_left() -> None:
    data = build_data(3, 5, torch.tensor([[0, 0, 2, 2, 1], [1, 3, 1, 3, 0]]))  # the core: users 0, 2 and items 1, 3
    data["user", "follows", "user"].edge_index = torch.tensor([[0, 1, 2], [2, 2, 0]])
    data["user", "follows", "user"].edge_attr = torch.tensor([[5.0], [6.0], [7.0]])
    data["item", "has", "brand"].edge_index = torch.tensor([[0, 1, 3], [0, 7, 8]])
    data["brand", "of", "brand"].edge_index = torch.tensor([[7], [0]])
    core = k_core(data, 2)
    assert core["user", "follows", "user"].edge_index.tolist() == [[0, 1], [1, 0]]
    assert core["user", "follows", "user"].edge_attr.tolist() == [[5.0], [7.0]]
    assert core["item", "has", "brand"].edge_index.tolist() == [[0, 1], [7, 8]]
    assert core["brand", "of", "brand"].edge_index.tolist() == [[7], [0]]
    assert data["user", "follows", "user"].edge_index.tolist() == [[0, 1, 2], [2, 2, 0]]


@pytest.mark.parametrize("sparse", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_sparse_rows_go_with_their_items(sparse) -> None:
    data = build_data(1, 3, torch.tensor([[0, 0], [0, 2]]))
    data["item"].genres = sparse(torch.tensor([[1.0, 0], [0, 2], [3, 0]]))
    genres = k_core(data, 1)["item"].genres
    assert genres.layout == data["item"].genres.layout
    assert genres.to_dense().tolist() == [[1, 0], [3, 0]]


def test_rows_of_blocks_come_back_without_blocks() -> None:
    data = build_data(1, 4, torch.tensor([[0, 0, 0], [0, 2, 3]]))
    data["item"].genres = torch.eye(4).to_sparse_bsr((2, 2))
    assert torch.equal(k_core(data, 1)["item"].genres.to_dense(), torch.eye(4)[[0, 2, 3]])


@pytest.mark.errors
def test_a_core_after_the_split_or_with_graphs_is_refused() -> None:
    pairs = torch.stack([torch.zeros(6, dtype=torch.long), torch.arange(6)])
    data = build_data(1, 6, pairs)
    with pytest.raises(ValueError, match="split already"):
        k_core(random_split(data), 1)
    for kind in (similar("item", "text"), ("user", "cooccurs", "user"), ("user", "pruned", "item")):
        stale = copy.copy(data)
        stale[kind].edge_index = torch.tensor([[0], [0]])
        with pytest.raises(ValueError, match="built for all users and items"):
            k_core(stale, 1)


@pytest.mark.errors
def test_edges_of_ones_own_are_refused_where_they_cannot_be_renumbered() -> None:
    data = build_data(1, 2, torch.tensor([[0, 0], [0, 1]]))
    data["item", "has", "brand"].adj_t = torch.eye(2)
    with pytest.raises(ValueError, match=r"have no 'edge_index' .*'has'"):
        k_core(data, 1)
