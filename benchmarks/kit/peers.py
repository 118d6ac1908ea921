"""Other libraries, each in an environment of its own under ``benchmarks/.peers``: made once, run as processes."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from drepm_pyg.data import SPLIT_INDEX, USER_ITEM
from kit.memory import run_json

HERE = Path(__file__).parents[1]

_RECBOLE_NAMES = {"val": "valid"}  # of the splits that RecBole calls otherwise


def run_peer(peer: str, case: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
    """What ``benchmarks/peers/<peer>_worker.py`` answers, or ``{"error": ...}`` if it cannot be installed or run."""
    home = HERE / ".peers" / peer
    failure = _install(home, HERE / "peers" / f"{peer}.txt")
    if failure is not None:
        return {"error": f"cannot be installed: {failure}"}
    worker = HERE / "peers" / f"{peer}_worker.py"
    return run_json([str(_python(home)), str(worker), json.dumps(dict(case))], timeout=timeout)


def write_pairs(data: HeteroData, folder: Path, name: str) -> None:
    """The three splits as RecBole's benchmark files, which the other workers read, too."""
    (folder / name).mkdir(parents=True)
    for split, index in SPLIT_INDEX.items():
        pairs = data[USER_ITEM][index].t().tolist()
        lines = ["user_id:token\titem_id:token", *(f"{user}\t{item}" for user, item in pairs)]
        (folder / name / f"{name}.{_RECBOLE_NAMES.get(split, split)}.inter").write_text("\n".join(lines) + "\n")


def _install(home: Path, requirements: Path) -> str | None:
    """Make the environment where it is not there in this form; the last line of a failure, or None."""
    stamp, wanted = home / ".installed", requirements.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    venv.create(home, with_pip=True, clear=True)
    command = [str(_python(home)), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    stamp.write_text(wanted)
    return None


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else f"bin/python{sys.version_info.major}")
