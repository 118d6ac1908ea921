"""The machine: what it is, and how fast it multiplies and copies, measured."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from kit.timing import compare

_PACKAGES = ("torch", "torch-geometric", "torch-sparse", "numpy", "scipy", "faiss-cpu", "lightning", "scikit-learn")


def describe(device: str = "cpu") -> dict[str, object]:
    """Processor, memory, threads and versions: enough to know what a number was measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := installed(name))},
    }


def installed(package: str) -> str | None:
    """The version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def revision() -> str | None:
    """The commit that was measured; a ``+`` says that files had been changed, other than results."""
    status = ["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)benchmarks/results"]
    try:
        commit, changes = _git("rev-parse", "--short=10", "HEAD"), _git(*status)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + "+" * bool(changes)


def _git(*words: str) -> str:
    command = ["git", *words]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()


@cache
def gemm_gflops(device: str = "cpu", sizes: tuple[int, ...] = (2048, 4096)) -> float:
    """The best rate of square float32 matrix products, in 1e9 operations a second."""
    rates = []
    for size in sizes:
        a, b = torch.rand(2, size, size, device=device)
        seconds = compare({"gemm": lambda a=a, b=b: torch.mm(a, b)}, rounds=5, device=device)["gemm"].best
        rates.append(2 * size**3 / seconds / 1e9)
    return max(rates)


@cache
def bandwidth_gb_s(device: str = "cpu", megabytes: int = 128) -> float:
    """The best rate of ``c = a + b`` over arrays larger than the caches: two are read, one is written."""
    a, b, c = torch.ones(3, megabytes * 2**18, device=device)
    seconds = compare({"add": lambda: torch.add(a, b, out=c)}, rounds=8, device=device)["add"].best
    return 3 * a.numel() * 4 / seconds / 1e9


def limits(device: str = "cpu", *, quick: bool = False) -> dict[str, float]:
    """Both rates, as they stand in a report."""
    gemm = gemm_gflops(device, (256,)) if quick else gemm_gflops(device)
    bandwidth = bandwidth_gb_s(device, 4) if quick else bandwidth_gb_s(device)
    return {"gemm_gflops": round(gemm, 1), "bandwidth_gb_s": round(bandwidth, 1)}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
