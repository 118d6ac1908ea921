"""Values kept by the tensors they were computed from: when they are taken again, and when not."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from drepm_pyg import _memo
from drepm_pyg._memo import memoize


class Counted:
    """A sum, and how often it was computed."""

    def __init__(self) -> None:
        self.calls = 0

    def of(self, *tensors: Tensor) -> Callable[[], float]:
        def compute() -> float:
            self.calls += 1
            return float(sum(tensor.sum() for tensor in tensors))

        return compute

    def __call__(self, *tensors: Tensor, key: str = "sum") -> float:
        return memoize(key, self.of(*tensors), *tensors)


@pytest.fixture
def total() -> Counted:
    return Counted()


def test_the_same_tensors_give_what_was_computed_the_first_time(total: Counted) -> None:
    x, y = torch.ones(3), torch.ones(2)
    assert [total(x), total(x, y), total(x), total(x, y)] == [3, 5, 3, 5]
    assert total.calls == 2


def test_keys_tell_values_of_the_same_tensor_apart(total: Counted) -> None:
    x = torch.ones(3)
    assert [total(x), memoize("length", lambda: len(x), x), total(x)] == [3, 3, 3]
    assert total(x, key="another") == 3
    assert total.calls == 2


def test_equal_tensors_are_not_the_same_ones(total: Counted) -> None:
    x, y = torch.ones(3), torch.ones(2)
    total(x, y)
    total(x, y.clone())
    total(x.clone(), y)
    assert total.calls == 3


def test_other_threads_add_and_drop_values_meanwhile(total: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    x, dead, plain = torch.ones(3), torch.ones(2), _memo._Entry.alive
    total(x, dead)
    del dead
    running: list[bool] = []

    def interrupted(entry: _memo._Entry) -> bool:
        if not running:
            running.append(True)
            assert total(x, key="of another thread") == 3  # which drops the dead one, too
        return plain(entry)

    monkeypatch.setattr(_memo._Entry, "alive", interrupted)
    assert total(x, torch.ones(1)) == 4
    assert running


def test_a_change_during_the_computation_is_seen(total: Counted) -> None:
    x = torch.ones(3)
    assert memoize("sum", lambda: (float(x.sum()), x.add_(1))[0], x) == 3
    assert total(x) == 6


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_change_in_place_is_seen(total: Counted, place: int) -> None:
    tensors = [torch.ones(3), torch.ones(2), torch.ones(1)]
    assert total(*tensors) == 6
    tensors[place][0] = 5.0
    assert total(*tensors) == 10
    assert total(*tensors) == 10
    assert total.calls == 2


def test_the_value_goes_with_its_first_tensor() -> None:
    class Value:
        pass

    x = torch.ones(3)
    value = weakref.ref(memoize("value", Value, x))
    gc.collect()
    assert value() is not None
    del x
    gc.collect()
    assert value() is None


def test_further_tensors_are_not_kept_alive_and_their_value_is_not_found_again(total: Counted) -> None:
    x, y = torch.ones(3), torch.ones(2)
    total(x, y)
    alive = weakref.ref(y)
    del y
    gc.collect()
    assert alive() is None
    assert total(x, torch.zeros(2)) == 3


def test_tensors_of_inference_mode_count_no_changes_and_are_read_anew(total: Counted) -> None:
    with torch.inference_mode():
        x = torch.ones(3)
        assert total(x) == 3
        x[0] = 5.0
        assert total(x) == 7
        assert total(torch.ones(1), x) == 8
    assert total(x) == 7


def test_what_was_computed_under_inference_mode_serves_a_training_step() -> None:
    x, weight = torch.ones(3, 2), torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        memoize("doubled", lambda: 2 * x, x)
    (memoize("doubled", lambda: 2 * x, x) @ weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [6, 6]


def test_what_failed_is_tried_again() -> None:
    x = torch.ones(3)
    with pytest.raises(ArithmeticError):
        memoize("value", lambda: (_ for _ in ()).throw(ArithmeticError()), x)
    assert memoize("value", lambda: 2, x) == 2


@pytest.mark.compile
def test_a_compiled_function_takes_what_was_kept(total: Counted) -> None:
    x = torch.ones(3)
    total(x)
    compiled = torch.compile(lambda y: y + total(x), backend="aot_eager")
    assert compiled(torch.zeros(1)).tolist() == [3]
    assert total.calls == 1
