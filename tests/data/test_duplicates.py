"""Groups of equal rows, against a dictionary of rows."""

import pytest
import torch

from drepm_pyg.data import duplicates
from drepm_pyg.data.duplicates import duplicate_groups


def reference(x: torch.Tensor) -> list[list[int]]:
    places: dict[tuple[float, ...], list[int]] = {}
    for place, row in enumerate(x.tolist()):
        places.setdefault(tuple(row), []).append(place)
    return sorted((rows for rows in places.values() if len(rows) > 1), key=lambda rows: (-len(rows), rows[0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rows_of_round_numbers_stand_together_too(dtype: torch.dtype) -> None:
    x = torch.cartesian_prod(*[torch.arange(2.0)] * 8).to(dtype).repeat(2, 1)
    assert [rows.tolist() for rows in duplicate_groups(x)] == [[row, row + 256] for row in range(256)]


@pytest.mark.parametrize("collide", [False, True])
@pytest.mark.parametrize("block", [1, 7, 2**22])
def test_equal_rows_stand_together_the_largest_group_first(
    collide: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", block)
    x = torch.randint(0, 3, (60, 3), generator=torch.Generator().manual_seed(0)).float() + 1
    if collide:  # what differs from the first row of its hash is no part of the group
        monkeypatch.setattr(duplicates, "_hash_rows", lambda x: x[:, 0].long())
    found = [rows.tolist() for rows in duplicate_groups(x)]
    if not collide:
        assert found == reference(x)
    assert all((x[rows] == x[rows[0]]).all() and len(rows) > 1 for rows in found)
    assert found == sorted(found, key=lambda rows: (-len(rows), rows[0]))
    assert len(found) == (3 if collide else len(reference(x)))


def test_rows_that_are_all_different_are_no_group() -> None:
    assert duplicate_groups(torch.arange(6.0).reshape(3, 2)) == []
