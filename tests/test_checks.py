"""The argument checks that several rooms share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from drepm_pyg import _checks

pytestmark = pytest.mark.errors


@pytest.mark.parametrize("check", [_checks.check_positive, _checks.check_non_negative, _checks.check_fraction])
def test_a_number_may_not_be_missing(check: Callable[..., None]) -> None:
    for wrong, kind in ((None, "NoneType"), ("1", "str"), (True, "bool")):
        with pytest.raises(TypeError, match=rf"'lr' must be a number \(got {wrong!r}, a {kind}\)"):
            check(alpha=0.5, lr=wrong)


def test_an_optional_number_may() -> None:
    _checks.check_number(radius=None, alpha=0.5)
    with pytest.raises(TypeError, match=r"'radius' must be a number \(got 'x', a str\)"):
        _checks.check_number(radius="x")


@pytest.mark.parametrize("wrong", ["ab", [("a", 1)], {1: 2}, {"a": 1, None: 2}, None])
def test_names_are_texts_of_a_mapping(wrong: Any) -> None:
    _checks.check_mapping(weights={"a": 1}, widths={})
    with pytest.raises(TypeError, match=r"'weights' must map names to numbers \(got "):
        _checks.check_mapping(weights=wrong)


def test_ids_are_tensors_of_integers() -> None:
    _checks.check_ids(3, what="items", item=torch.tensor([0, 2]))
    with pytest.raises(TypeError, match=r"'item' must be a torch tensor \(got a list\)"):
        _checks.check_ids(3, what="items", item=[0, 2])
    for dtype in (torch.float32, torch.complex64, torch.bool):
        with pytest.raises(TypeError, match=rf"'item' must hold integer ids \(got {dtype}\)"):
            _checks.check_ids(3, what="items", item=torch.tensor([0, 2]).to(dtype))


def test_pairs_join_users_and_items_that_exist() -> None:
    _checks.check_pairs(torch.tensor([[0, 1], [2, 0]]), 2, 3)
    _checks.check_pairs(torch.zeros(2, 0, dtype=torch.long), 0, 0)
    with pytest.raises(ValueError, match=r"'val' must have the shape \[2, E\] \(got \[3, 2\]\)"):
        _checks.check_pairs(torch.zeros(3, 2, dtype=torch.long), 2, 3, name="val")
    with pytest.raises(ValueError, match=r"'val\[0\]' must hold ids in \[0, 2\) for 2 users \(got 0 to 2\)"):
        _checks.check_pairs(torch.tensor([[0, 2], [2, 0]]), 2, 3, name="val")
    with pytest.raises(ValueError, match=r"'edge_index\[1\]' must hold ids in \[0, 3\) for 3 items \(got -1 to 2\)"):
        _checks.check_pairs(torch.tensor([[0, 1], [2, -1]]), 2, 3)


def test_every_row_that_is_not_finite_is_counted_and_the_first_five_are_named() -> None:
    x = torch.zeros(20, 3)
    _checks.check_finite(x=x, empty=x[:0], counts=torch.tensor([2**62, 2**62]))
    x[3:17:2, 1] = torch.tensor([torch.nan, torch.inf, -torch.inf]).repeat(3)[:7]
    with pytest.raises(ValueError, match=r"'x' holds .* in 7 of 20 rows \(first: \[3, 5, 7, 9, 11\]\)\. Repair"):
        _checks.check_finite(y=torch.zeros(2), x=x)
    with pytest.raises(ValueError, match=r"'w' holds .* in 1 of 3 rows \(first: \[1\]\)"):
        _checks.check_finite(w=torch.tensor([1.0, torch.nan, 2.0]))
    with pytest.raises(ValueError, match=r"'block' holds .* in 1 of 2 rows \(first: \[1\]\)"):
        _checks.check_finite(block=torch.stack([torch.zeros(2, 2), torch.full((2, 2), torch.inf)]))


def test_infinities_of_both_signs_do_not_cancel_and_a_sum_may_overflow() -> None:
    with pytest.raises(ValueError, match=r"in 2 of 2 rows"):
        _checks.check_finite(x=torch.tensor([[torch.inf], [-torch.inf]]))
    _checks.check_finite(x=torch.full((4, 2), 1.7e308, dtype=torch.float64))


def test_a_seed_is_what_generators_take() -> None:
    for seed in (0, -(2**63), 2**64 - 1):
        _checks.check_seed(seed=seed)
        torch.Generator().manual_seed(seed)
    with pytest.raises(ValueError, match=r"'seed' must be less than 2\*\*64 \(got 18446744073709551616\)"):
        _checks.check_seed(seed=2**64)
    with pytest.raises(ValueError, match=r"'seed' must be at least -9223372036854775808 \(got -9223372036854775809\)"):
        _checks.check_seed(seed=-(2**63) - 1)
    with pytest.raises(TypeError, match=r"'seed' must be an integer \(got 1\.0, a float\)"):
        _checks.check_seed(seed=1.0)  # type: ignore[arg-type]


def test_a_text_is_no_list_of_its_letters() -> None:
    _checks.check_list(ks=(10, 20), metrics=["recall"], nothing=[], some=range(3))
    with pytest.raises(
        TypeError, match=r"'metrics' must be a list or a tuple \(got 'recall'\)\. Pass \('recall',\)\.$"
    ):
        _checks.check_list(ks=[1], metrics="recall")
    for wrong in (None, 3, {"a"}, {"a": 1}, iter([1])):
        with pytest.raises(TypeError, match=r"'ks' must be a list or a tuple \(got [^)]+\)\.$"):
            _checks.check_list(ks=wrong)


def test_a_path_is_a_text_or_a_path() -> None:
    _checks.check_path(path="a.npz", directory=Path())
    with pytest.raises(TypeError, match=r"'directory' must be a path \(got 3, a int\)"):
        _checks.check_path(path="a.npz", directory=3)  # type: ignore[arg-type]


def test_a_device_is_one_that_holds_values() -> None:
    _checks.check_device("cpu")
    _checks.check_device(torch.device("cpu"))
    with pytest.raises(ValueError, match=r"'device' must be one that .* \(got 'meta': holds no values\)"):
        _checks.check_device("meta")
    with pytest.raises(ValueError, match=r"'device' must be one that .* \(got 'gpu': "):
        _checks.check_device("gpu")


class _Unreadable(_checks.CorruptFileError):
    """A kind that the caller knows."""


@pytest.mark.parametrize("kind", [TypeError, ValueError, _Unreadable])
def test_an_error_is_said_with_the_name_of_its_input_and_stays_of_its_kind(kind: type[Exception]) -> None:
    with (
        pytest.raises(kind, match=r"^features\['text'\]: 'x' is wrong$") as caught,
        _checks.said_of("features['text']"),
    ):
        raise kind("'x' is wrong")
    assert type(caught.value) is kind
    assert str(caught.value.__cause__) == "'x' is wrong"


def test_an_error_that_is_made_of_more_than_a_text_becomes_a_plain_one() -> None:
    text = r"^'a\.csv': 'utf-8' codec can't decode byte 0xff"
    with pytest.raises(ValueError, match=text) as caught, _checks.said_of("'a.csv'"):
        b"\xff".decode()
    assert type(caught.value) is ValueError


def test_other_errors_are_nothing_that_a_name_helps_with() -> None:
    with pytest.raises(RuntimeError, match=r"^lost$"), _checks.said_of("features['text']"):
        raise RuntimeError("lost")
    with _checks.said_of("features['text']"):
        pass


def test_all_faults_are_listed_at_once() -> None:
    _checks.list_faults("'data'", iter([]))
    with pytest.raises(ValueError, match=r"^'data' has 1 fault:\n  - no pairs$"):
        _checks.list_faults("'data'", iter(["no pairs"]))
    with pytest.raises(ValueError, match=r"^'data' has 2 faults:\n  - no pairs\n  - no items$"):
        _checks.list_faults("'data'", ["no pairs", "no items"])
