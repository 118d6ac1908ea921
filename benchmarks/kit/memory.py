"""Peak memory, of a call or of a process of its own."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes() -> int:
    """The largest resident size of this process.

    Linux hands ``ru_maxrss`` of a parent on to the programs that it starts; ``VmHWM`` begins anew with each.
    """
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_of(call: Callable[[], Any]) -> tuple[Any, int]:
    """What ``call`` gives, and by how much it let the resident size grow on the way (0 where that cannot be known)."""
    before = _status("VmRSS")
    if not before:
        return call(), 0
    _RESET.write_text("5")  # the high-water mark begins at the present size
    value = call()
    return value, max(0, _status("VmHWM") - before)


def in_child(script: str, case: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
    """Run ``python script --case JSON`` and read the JSON of its last line.

    A child that fails, is killed or takes too long gives ``{"error": ...}``: one row then says so, others stand.
    """
    command = [sys.executable, script, "--case", json.dumps(dict(case))]
    return run_json(command, timeout=timeout)


def run_json(command: list[str], *, timeout: float | None = None) -> dict[str, Any]:
    """Run a command whose last line of stdout is JSON; see :func:`in_child` for failures."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {timeout:.0f} s"}
    if done.returncode < 0:
        return {"error": f"killed by signal {-done.returncode} (9: out of memory)"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:200]}
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _status(field: str) -> int:
    if not _STATUS.exists():
        return 0
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next((1024 * int(words[1]) for words in lines if words[0] == f"{field}:"), 0)
