"""The argument checks that several rooms share."""

from collections.abc import Callable
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
