"""topk against a plain ranking of all scores."""

import math

import numpy as np
import pytest
import torch

from drepm_pyg.evaluation import TopK, topk


def test_hand_worked() -> None:
    best = topk(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[3.0, 1.0], [1.0, 2.0], [2.0, 5.0]]), 2)
    assert isinstance(best, TopK)
    assert best.ids.tolist() == [[0, 2], [2, 1]]
    assert best.scores.tolist() == [[3.0, 2.0], [5.0, 2.0]]


def test_ties_are_ordered_by_the_smaller_id() -> None:
    best = topk(torch.ones(2, 1), torch.tensor([[1.0], [2.0], [1.0], [2.0], [1.0]]), 3)
    assert best.ids.tolist() == [[1, 3, 0]] * 2
    assert best.scores.tolist() == [[2.0, 2.0, 1.0]] * 2


def test_a_row_without_candidates_is_padded() -> None:
    best = topk(torch.ones(2, 1), torch.arange(3.0).unsqueeze(1), 3, exclude=torch.tensor([[0, 0], [2, 0]]))
    assert best.ids.tolist() == [[1, -1, -1], [2, 1, 0]]
    assert best.scores[0, 1:].tolist() == [-math.inf] * 2


@pytest.mark.parametrize("num_items", [37, 401, 1003])
def test_equal_items_tie_however_few_users_are_asked_for(generator: torch.Generator, num_items: int) -> None:
    for width in (64, 37, 100):
        user, item = torch.randn(9, width, generator=generator), torch.randn(1, width, generator=generator)
        for first in range(9):
            for count in (1, 2, 3):
                best = topk(user[first : first + count], item.repeat(num_items, 1), 5)
                assert best.ids.tolist() == [[0, 1, 2, 3, 4]] * len(best.ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_items", [7, 9, 65, 193, 400, 1003])
def test_equal_items_tie_at_the_end_of_the_table_too(
    generator: torch.Generator, num_items: int, dtype: torch.dtype
) -> None:
    threads = torch.get_num_threads()
    try:
        for num_threads in (1, 2):
            torch.set_num_threads(num_threads)
            for num_users in (1, 9, 10, 11, 33):
                user, item = (torch.randn(n, 64, generator=generator, dtype=dtype) for n in (num_users, 1))
                best = topk(user, item.repeat(num_items, 1), num_items)
                assert best.ids.equal(torch.arange(num_items).expand(num_users, -1))
                assert best.scores.equal(best.scores[:, :1].expand_as(best.scores))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("num_items", [23, 401], ids=["whole rows", "by a threshold"])
@pytest.mark.parametrize("batch_size", [None, 1, 5, 100])
def test_excluded_pairs_never_appear_and_blocks_do_not_matter(
    generator: torch.Generator, batch_size: int | None, num_items: int
) -> None:
    user, item = torch.randn(17, 3, generator=generator).round(), torch.randn(num_items, 3, generator=generator).round()
    # Unsorted, some twice; some of them are the best.
    exclude = torch.stack([torch.randint(n, (4 * num_items,), generator=generator) for n in (17, num_items)])
    best = topk(user, item, 7, exclude=exclude, batch_size=batch_size)
    pairs = set(map(tuple, exclude.T.tolist()))
    for row, scores in enumerate((user @ item.T).tolist()):
        left = [i for i in range(num_items) if (row, i) not in pairs]
        assert best.ids[row].tolist() == sorted(left, key=lambda i: (-scores[i], i))[:7]


def test_rows_follow_their_users_and_items_their_ids(generator: torch.Generator) -> None:
    user, item = torch.randn(9, 4, generator=generator), torch.randn(12, 4, generator=generator)
    rows, columns = torch.randperm(9, generator=generator), torch.randperm(12, generator=generator)
    best, moved = topk(user, item, 5), topk(user[rows], item[columns], 5)
    assert torch.equal(columns[moved.ids], best.ids[rows])


def test_no_users_give_no_rows() -> None:
    best = topk(torch.empty(0, 4), torch.randn(40, 4), 3)
    assert best.scores.shape == best.ids.shape == (0, 3)


def test_half_tables_are_ranked_in_single_precision() -> None:
    # 64 and 64.25 are one number in bfloat16.
    item = torch.tensor([[8.0, 0.0], [8.0, 0.25]]).bfloat16()
    best = topk(torch.tensor([[8.0, 1.0]]).bfloat16(), item, 2)
    assert best.ids.tolist() == [[1, 0]]
    assert best.scores.tolist() == [[64.25, 64.0]]


def test_products_that_float32_does_not_hold() -> None:
    user = torch.tensor([[1e30, 1e30], [1e-30, 0.0]])
    item = torch.tensor([[1e20, -2e20], [3e20, 1e20], [1e20, 1e20]])  # the first user's would be inf - inf, inf and inf
    assert topk(user, item, 3).ids.tolist() == [[1, 2, 0], [1, 0, 2]]


def test_counts_are_ranked_too() -> None:
    best = topk(torch.tensor([[1, 2]]), torch.tensor([[3, 0], [0, 4], [1, 1]]), 2)
    assert best.ids.tolist() == [[1, 0]]
    assert best.scores.tolist() == [[8.0, 3.0]]


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"k": 4}, ValueError, r"'k' must be at most the number of items \(got 4 for 3 items\)"),
        ({"k": 0}, ValueError, r"'k' must be at least 1 \(got 0\)"),
        ({"k": 1, "batch_size": 0}, ValueError, r"'batch_size' must be at least 1 \(got 0\)"),
        ({"k": 1, "exclude": torch.tensor([[2], [0]])}, ValueError, r"'exclude\[0\]' must hold ids in \[0, 2\)"),
        ({"k": 1, "exclude": torch.tensor([[1], [3]])}, ValueError, r"'exclude\[1\]' must hold ids in \[0, 3\)"),
        ({"k": 1, "exclude": torch.tensor([1, 0])}, ValueError, r"'exclude' must have the shape \[2, E\]"),
        ({"k": 1, "item": torch.ones(3, 5)}, ValueError, r"of one width \(got \[2, 4\] and \[3, 5\]\)"),
        ({"k": 1, "item": torch.ones(3, 4).double()}, TypeError, r"'item' must have the dtype of 'user' \(got torch.f"),
        ({"k": 1, "item": torch.ones(3, 4).numpy()}, TypeError, r"'item' must be a torch tensor \(got a ndarray\)"),
        ({"k": 1, "user": torch.full((2, 4), math.nan)}, ValueError, r"'user' holds NaN or infinite values in 2 of 2"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        topk(**{"user": torch.ones(2, 4), "item": torch.ones(3, 4), **arguments})


def test_integers_are_multiplied_as_integers() -> None:
    """As float32 the two products would be equal."""
    found = topk(torch.tensor([[2**24 + 1, 1]]), torch.tensor([[1, 0], [1, 1]]), 2)
    assert found.ids.tolist() == [[1, 0]]
    assert found.scores.tolist() == [[2**24 + 2, 2**24 + 1]]


@pytest.mark.errors
def test_numbers_may_be_narrow_ones_of_numpy(generator: torch.Generator) -> None:
    """A hundred and its half are more than an int8 holds."""
    user, item = torch.randn(9, 4, generator=generator), torch.randn(2000, 4, generator=generator)
    found, expected = topk(user, item, np.int8(100), batch_size=np.int8(4)), topk(user, item, 100)
    assert found.ids.equal(expected.ids)
