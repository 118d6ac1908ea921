"""Large tables and their products on a CPU: where NumPy was measured faster than torch, it does the work."""

import math

import numpy as np
import torch

from drepm_pyg.typing import Float, Tensor

__all__ = ["large_empty", "product_into", "reuse_freed_memory", "transpose_into"]

_ALIGNMENT = 64  # bytes, as torch's own
_STRIP = 256  # rows that are transposed at a time
_REUSED = 31 << 20  # just below the most that glibc learns from


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

    For large products alone: its threads and torch's wait for work by spinning, and small turns leave them no core
    (full ranking, block by block, took four times as long so).
    """
    if out.device.type == "cpu":
        with np.errstate(over="ignore", invalid="ignore"):  # as torch: infinities are the caller's to find
            np.matmul(a.numpy(), b.numpy().T, out=out.numpy())
    else:
        torch.mm(a, b.T, out=out)
    return out


def transpose_into(x: Float[Tensor, "R C"], out: Float[Tensor, "C R"]) -> Float[Tensor, "C R"]:
    """``x.T`` into ``out``: on a CPU by NumPy in strips that stay in cache.

    torch's threads gain nothing at what memory bounds, and wait for each other where cores are busy.
    """
    if out.device.type != "cpu" or out.dtype not in (torch.float32, torch.float64):
        return out.copy_(x.T)
    rows, columns = x.detach().numpy(), out.numpy()
    for start in range(0, len(rows), _STRIP):
        columns[:, start : start + _STRIP] = rows[start : start + _STRIP].T
    return out


def reuse_freed_memory() -> None:
    """Let freed tables of up to 31 MB be used again, instead of new pages for every one of every step.

    glibc serves from memory at hand what is smaller than the largest piece that was freed so far, up to 32 MB, and asks
    the system for the rest: 128 KB at the start, so that a step's tables of embeddings are all asked for, first
    touches included. One such piece, never touched, teaches it. Other C libraries are not concerned.
    """
    torch.empty(_REUSED, dtype=torch.uint8)
