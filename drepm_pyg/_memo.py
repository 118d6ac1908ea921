"""Values that depend on the data alone: computed at the first call, forgotten with the data."""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch._functorch import pyfunctorch
from torch.utils.weak import TensorWeakRef, WeakTensorKeyDictionary

from drepm_pyg.typing import Tensor

__all__ = ["is_wrapped", "memoize", "untraced"]

T = TypeVar("T")

# No public name leads out of torch.func's transforms; a torch without this one knows there what it has seen before.
_outside_transforms: Callable[[], AbstractContextManager[Any]] = getattr(
    pyfunctorch, "temporarily_clear_interpreter_stack", nullcontext
)


@dataclass(frozen=True)
class _Entry:
    others: tuple[TensorWeakRef, ...]
    versions: tuple[int, ...]
    value: Any

    def alive(self) -> bool:
        return all(other() is not None for other in self.others)

    def holds(self, anchor: Tensor, others: tuple[Tensor, ...]) -> bool:
        return self.versions == _versions(anchor, others) and all(
            mine() is theirs for mine, theirs in zip(self.others, others, strict=True)
        )


_entries: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # anchor -> {key and the others' ids: _Entry}


def memoize(key: Hashable, compute: Callable[[], T], anchor: Tensor, *others: Tensor) -> T:
    """``compute()``, or what it gave the last time for these very tensors, where none was changed in place since.

    A tensor made under inference mode keeps no count of its changes: of such the value is computed anew. Changes by
    NumPy or through ``.data`` are not counted, either, and go unnoticed.

    Args:
        key: tells apart what is computed from the same tensors.
        compute: the computation. Its value must not hold ``anchor``, or neither would ever be freed.
        anchor: the value is forgotten with this tensor.
        others: further tensors that the value depends on; none of them is kept alive for it.
    """
    if any(tensor.is_inference() for tensor in (anchor, *others)):
        return compute()
    by_key = _entries.setdefault(anchor, {})
    whole = (key, *map(id, others))
    entry = by_key.get(whole)
    if entry is None or not entry.holds(anchor, others):
        # A copy, and no key that must be there: other threads add and drop entries meanwhile.
        for name in [name for name, entry in list(by_key.items()) if not entry.alive()]:
            by_key.pop(name, None)
        versions = _versions(anchor, others)  # another thread may change one of them while the value is computed
        entry = by_key[whole] = _Entry(tuple(map(TensorWeakRef, others)), versions, untraced(compute, anchor, *others))
    found: T = entry.value
    return found


def _run(compute: Callable[[], T], *tensors: Tensor) -> T:
    """``compute()`` from these tensors, untouched by what torch.compile and torch.func do with their callers."""
    with ExitStack() as plainly:
        if torch.is_inference_mode_enabled():  # a training step may take the value next, and save it for its backward
            plainly.enter_context(torch.inference_mode(False))
        if not any(map(is_wrapped, tensors)):  # under torch.func sparse tensors do not even convert
            plainly.enter_context(_outside_transforms())
        return compute()


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a transform of torch.func follows this very tensor."""
    return torch.func.debug_unwrap(tensor) is not tensor


# Once per data set, and by SciPy in places: nothing to trace.
untraced: Callable[..., T] = torch.compiler.disable(_run)


def _versions(anchor: Tensor, others: tuple[Tensor, ...]) -> tuple[int, ...]:
    """The numbers of in-place changes."""
    return (anchor._version, *(other._version for other in others))
