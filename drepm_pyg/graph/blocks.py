"""Consecutive rows, so many at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["blocks_of", "by_threads", "slices"]

Part = TypeVar("Part")
Result = TypeVar("Result")


def blocks_of(count: int, width: int, block_bytes: int) -> Iterator[NDArray[np.int64]]:
    """Consecutive ids up to ``count``, so many at a time that their float64 rows take about ``block_bytes``."""
    step = max(1, block_bytes // (8 * width))
    for start in range(0, count, step):
        yield np.arange(start, min(start + step, count))


def slices(start: int, stop: int, size: int) -> Iterator[slice]:
    """From ``start`` to ``stop``, ``size`` at a time; the last one may have fewer."""
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))


def by_threads(function: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """What ``function`` makes of each part, in their order; NumPy releases the lock, so threads share several parts."""
    threads = min(torch.get_num_threads(), len(parts))
    if threads <= 1:  # to start a thread takes longer than a small part
        yield from map(function, parts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(function, parts)
