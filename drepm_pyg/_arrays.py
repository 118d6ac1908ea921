"""Large tables on a CPU: their memory, and products and transposes by what was measured to be fastest."""

import ctypes
import math
import sys
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from drepm_pyg.typing import Float, Int, Tensor

__all__ = [
    "SPARSE_COST",
    "csr_pattern",
    "kept_memory",
    "large_empty",
    "product_into",
    "return_freed_memory",
    "reuse_freed_memory",
    "shortest_seconds",
    "transpose_into",
    "transposed",
]

#: An entry of a sparse product takes as long as so many multiply-adds of a dense one (measured).
SPARSE_COST = 60

_ALIGNMENT = 64  # bytes, as torch's own
_CACHED = 1 << 20  # entries; torch's copy is faster up to these
_TILE = (256, 1024)  # rows (of each thread) and columns that are transposed at a time
_REUSED = 31 << 20  # bytes, just below the most that glibc learns from
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of mallopt
_MMAP_MAX_DEFAULT = 65536


def large_empty(*shape: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """``torch.empty``; on a CPU in large pages, which NumPy asks the system for and torch does not.

    The first touch of a table then takes a quarter of the time, and reads all over it translate fewer addresses.

    Args:
        shape: of the tensor.
        dtype: of the tensor.
        device: where it is.
    """
    if torch.device(device).type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    size = math.prod(shape) * dtype.itemsize
    space = np.empty(size + _ALIGNMENT, dtype=np.uint8)
    start = -space.ctypes.data % _ALIGNMENT
    return torch.from_numpy(space[start : start + size]).view(dtype).view(shape)


def product_into(a: Float[Tensor, "R F"], b: Float[Tensor, "C F"], out: Float[Tensor, "R C"]) -> Float[Tensor, "R C"]:
    """``a @ b.T`` into ``out``: on a CPU by NumPy, whose BLAS knows that ``a @ a.T`` is symmetric, too.

    For large products only: the threads of NumPy's BLAS and those of torch both wait for work by spinning. Where small
    products alternate with other operations of torch, they take each other's cores (full ranking, block by block, took
    four times as long).
    """
    if out.device.type == "cpu":
        with np.errstate(over="ignore", invalid="ignore"):  # as torch: infinities are the caller's to find
            np.matmul(a.numpy(), b.numpy().T, out=out.numpy())
    else:
        torch.mm(a, b.T, out=out)
    return out


def shortest_seconds(call: Callable[[], object]) -> float:
    """The shortest of three times, after a call that loads the kernel."""
    call()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def csr_pattern(
    start: Int[Tensor, " R1"], column: Int[Tensor, " E"], shape: tuple[int, int], dtype: torch.dtype = torch.float32
) -> Tensor:
    """A sparse matrix of zeros, row by row, as :func:`torch.sparse.sampled_addmm` takes the places of its products."""
    values = torch.zeros(len(column), dtype=dtype, device=column.device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Sparse", UserWarning)  # of the layout, which torch calls beta
        return torch.sparse_csr_tensor(start, column, values, shape)


def transposed(x: Float[Tensor, "N R C"]) -> Float[Tensor, "N C R"]:
    """Each matrix of a stack, transposed; contiguous, and on a CPU a stack of several is shared by the threads.

    Of torch's operations on a CPU a channel shuffle transposes in registers: the R groups of C channels of each of N
    pixels, channels last. ``x.mT.contiguous()`` takes five to ten times as long.
    """
    if not _in_registers(x):
        return x.mT.contiguous()
    stack, rows, columns = x.shape
    pixels = x.contiguous().view(1, 1, stack, rows * columns).permute(0, 3, 1, 2)
    return torch.channel_shuffle(pixels, rows).permute(0, 2, 3, 1).view(stack, columns, rows)


def transpose_into(x: Float[Tensor, "R C"], out: Float[Tensor, "C R"]) -> Float[Tensor, "C R"]:
    """``x.T`` into ``out``; a table that is larger than a CPU's cache goes through :func:`transposed` tile by tile."""
    x, stack = x.detach(), torch.get_num_threads()
    whole = len(x) // stack * stack if _in_registers(x) and x.numel() > _CACHED else 0
    for start in range(0, whole, stack * _TILE[0]):
        rows = slice(start, min(start + stack * _TILE[0], whole))
        for tile, part in zip(x[rows].split(_TILE[1], dim=1), out[:, rows].split(_TILE[1]), strict=True):
            turned = transposed(tile.reshape(stack, -1, tile.size(1)))
            part.unflatten(1, (stack, -1)).copy_(turned.transpose(0, 1))
    out[:, whole:] = x[whole:].T
    return out


def _in_registers(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0


def reuse_freed_memory() -> None:
    """Let freed tables of up to 31 MB be used again, instead of new pages for every block of a search.

    Unlike ``kept_memory`` it holds no large tables, which a budget may forbid. glibc serves from memory at hand what is
    smaller than the largest piece that was freed so far, up to 32 MB, and asks the system for the rest: 128 KB at the
    start, so that every block of scores is asked for, first touches included. One such piece, never touched, teaches
    it. Other C libraries are not concerned.
    """
    torch.empty(_REUSED, dtype=torch.uint8)


def return_freed_memory() -> None:
    """Give freed memory back to the system, that of threads, too, before a large table is asked for (glibc alone)."""
    if _libc is not None:
        _libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "gnu_get_libc_version") else None


_libc = _glibc()


class _KeptMemory:
    """While it is entered, the process keeps what it frees, for tables of any size; then the system gets it back.

    The tables of a training step are those of the step before, and filling new pages with zeros takes a third of the
    time where a table has hundreds of MB. glibc alone is asked (``man mallopt``); other C libraries do as they do. It
    may be entered again, by other threads, too.
    """

    def __init__(self) -> None:
        self._entered, self._lock = 0, threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._entered += 1
            if _libc is not None and self._entered == 1:
                _libc.mallopt(_MMAP_MAX, 0)  # no piece comes from the system and goes back to it
                _libc.mallopt(_TRIM_THRESHOLD, -1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
            if _libc is not None and self._entered == 0:
                # glibc learns no more by itself: it is told what reuse_freed_memory teaches.
                _libc.mallopt(_MMAP_MAX, _MMAP_MAX_DEFAULT)
                _libc.mallopt(_MMAP_THRESHOLD, _REUSED)
                _libc.mallopt(_TRIM_THRESHOLD, 2 * _REUSED)
                return_freed_memory()


kept_memory = _KeptMemory()
