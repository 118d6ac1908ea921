"""Values that depend on the data alone: computed at the first call, forgotten with the data."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from drepm_pyg.typing import Tensor

__all__ = ["memoize"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Entry:
    version: int
    others: tuple[Tensor, ...]
    versions: tuple[int, ...]
    value: Any

    def holds(self, anchor: Tensor, others: Sequence[Tensor]) -> bool:
        return (
            self.version == _version(anchor)
            and len(self.others) == len(others)
            and all(mine is theirs for mine, theirs in zip(self.others, others, strict=True))
            and self.versions == tuple(map(_version, others))
        )


_entries: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # anchor -> {key: _Entry}


def memoize(key: Hashable, compute: Callable[[], T], anchor: Tensor, *others: Tensor) -> T:
    """``compute()``, or what it gave the last time for these very tensors, where none was changed in place since.

    Args:
        key: tells apart what is computed from the same tensors; the latest value is kept for each key.
        compute: the computation. Its value must not hold ``anchor``, or neither would ever be freed.
        anchor: the value is forgotten with this tensor.
        others: further tensors that the value depends on; they stay alive with the value.
    """
    by_key = _entries.setdefault(anchor, {})
    entry = by_key.get(key)
    if entry is None or not entry.holds(anchor, others):
        if torch.compiler.is_compiling():  # once per data set, and by SciPy in places: nothing to trace
            compute = torch.compiler.disable(compute)
        entry = by_key[key] = _Entry(_version(anchor), others, tuple(map(_version, others)), compute())
    value: T = entry.value
    return value


def _version(tensor: Tensor) -> int:
    """The number of in-place changes; a tensor made under inference mode keeps no count and is taken as constant."""
    return 0 if tensor.is_inference() else tensor._version
