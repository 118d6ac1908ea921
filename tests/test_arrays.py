"""Large tables, and products into them."""

import ctypes
import math
import subprocess
import sys

import pytest
import torch

from drepm_pyg._arrays import large_empty, product_into, transpose_into, transposed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int32, torch.bool])
@pytest.mark.parametrize("shape", [(0,), (3, 5), (1000, 1100)])
def test_it_is_a_tensor_like_any_other(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = large_empty(*shape, dtype=dtype)
    assert (tuple(x.shape), x.dtype, x.is_contiguous()) == (shape, dtype, True)
    assert x.data_ptr() % 64 == 0
    assert torch.equal(x.fill_(1), torch.ones(shape, dtype=dtype))


def test_it_outlives_the_name_it_was_given() -> None:
    part = large_empty(2048, 1024).fill_(7.0)[100:200]
    other = large_empty(2048, 1024).fill_(1.0)
    assert part.eq(7).all()
    assert other.eq(1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_those_of_torch(dtype: torch.dtype, generator: torch.Generator) -> None:
    a, b = (torch.randn(rows, 7, generator=generator).to(dtype) for rows in (5, 9))
    for left, right in ((a, b), (a[::2], b[:, :7]), (b.T.contiguous().T, a), (a, a), (a[:0], b)):
        out = product_into(left, right, left.new_empty(len(left), len(right)))
        torch.testing.assert_close(out, left @ right.T)


def test_what_overflows_is_infinite_without_a_warning() -> None:
    a = torch.tensor([[1e30, 1.0], [1.0, 1e30]])
    assert torch.equal(product_into(a, 1e30 * a[:1], torch.empty(2, 1)), torch.full((2, 1), torch.inf))


_MAPPED = """
import ctypes, sys, torch
from drepm_pyg._arrays import kept_memory, reuse_freed_memory

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info

def mapped(entries):
    before = mallinfo().hblks
    table = torch.empty(entries)
    return mallinfo().hblks - before

def resident():
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])

if sys.argv[1] == "reuse":
    reuse_freed_memory()
if sys.argv[1] == "kept":
    with kept_memory, kept_memory:
        torch.ones(50_000_000)
        kept, inside = resident(), mapped(50_000_000)
    # More than any hole between the heap's other pieces: what fits into a hole that was given back may use it again.
    print(inside, mapped(100_000_000), mapped(7_000_000), kept - resident())
else:
    print(mapped(7_000_000))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33, which counts its pieces")
@pytest.mark.parametrize(("how", "mapped"), [("plain", 1), ("reuse", 0)])
def test_tables_come_from_memory_that_is_kept_not_from_the_system(how: str, mapped: int) -> None:
    command = [sys.executable, "-c", _MAPPED, how]
    assert int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) == mapped


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33, which counts its pieces")
def test_memory_is_kept_for_a_while_and_then_goes_back() -> None:
    command = [sys.executable, "-c", _MAPPED, "kept"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    inside, large_after, small_after, given_back = (int(word) for word in output.split())
    assert (inside, large_after, small_after) == (0, 1, 0)
    assert given_back > 150e6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0, 3), (1, 7), (257, 5), (1031, 1027)])
def test_transposes_into_a_part_of_a_table(shape: tuple[int, int], dtype: torch.dtype) -> None:
    x = torch.arange(math.prod(shape), dtype=torch.float64).view(shape).to(dtype)
    table = torch.full((shape[1] + 2, shape[0] + 4), -1, dtype=dtype)
    transpose_into(x, table[1:-1, 3:-1])
    expected = torch.full_like(table, -1)
    expected[1:-1, 3:-1] = x.T
    assert torch.equal(table, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 3), (1, 1, 1), (1, 9, 1), (3, 17, 5), (2, 8, 33)])
def test_every_matrix_of_a_stack_is_transposed(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    x = torch.arange(math.prod(shape)).view(shape).to(dtype)
    for given in (x, x.mT.contiguous().mT):
        found = transposed(given)
        assert torch.equal(found, x.mT)
        assert found.is_contiguous()
