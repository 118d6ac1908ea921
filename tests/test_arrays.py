"""Large tables, and products into them."""

import platform
import subprocess
import sys

import pytest
import torch

from drepm_pyg._arrays import large_empty, product_into


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


_FAULTS = """
import resource, sys, torch
from drepm_pyg._arrays import reuse_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "reuse":
    reuse_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def table():
    torch.zeros(20_000, 64)
table()
before = faults()
for _ in range(20):
    table()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what other C libraries do is not ours to say")
def test_a_freed_table_is_used_again() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", _FAULTS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("reuse") * 10 < faults("plain")
