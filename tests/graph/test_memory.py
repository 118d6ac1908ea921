"""The memory budget is kept: peaks measured in a process of their own, on features that stay on disk."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import resource, sys
import numpy as np, torch
from drepm_pyg.graph import knn_graph, user_knn_graph

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

path, kind, budget = sys.argv[1], sys.argv[2], int(sys.argv[3])
x = np.load(path, mmap_mode="r")
generator = torch.Generator().manual_seed(0)
pairs = torch.stack([torch.arange(3 * len(x)) % len(x), torch.randint(0, len(x), (3 * len(x),), generator=generator)])
some = torch.randn(500, x.shape[1], generator=generator)
user_knn_graph(some, pairs % 500, 500, 5, index="blocks")  # what is loaded and kept on the first call
float(np.asarray(x).sum())  # pages of the file count as the process's own
if kind == "many users":
    pairs = torch.stack([torch.randint(0, n, (200_000,), generator=generator) for n in (25_000, len(x))])
users = int(pairs[0].max()) + 1
before = peak()
if kind == "rows":
    graph = knn_graph(x, 10, memory_budget=budget)
else:
    graph = user_knn_graph(x, pairs, users, 10, memory_budget=budget)
print(peak() - before - graph.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("kind", ["rows", "users", "many users"])
def test_the_peak_stays_within_the_budget(kind: str, tmp_path: Path) -> None:
    # All scores would take 256 MB, the rows in float64 16 MB.
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((8000, 256)).astype(np.float32))
    budget = 64 << 20
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "x.npy"), kind, str(budget)]
    used = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert used < budget, used
