"""How long until something happens? Imports in fresh interpreters, the command line, data, graphs, the first step."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kit import baby
from kit.report import Report, parser, ratio
from kit.step import Step
from kit.timing import compare, once

from drepm_pyg.data import read_mmrec, write_mmrec
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.models import DRepMRec
from drepm_pyg.training import EpochTriples

#: What a fresh interpreter runs; drepm_pyg itself loads its rooms on first use, so they are timed apart.
PROCESSES = {
    "an empty interpreter": ["-c", ""],
    "import torch": ["-c", "import torch"],
    "import torch_geometric": ["-c", "import torch_geometric"],
    "import drepm_pyg": ["-c", "import drepm_pyg"],
    "import drepm_pyg.nn": ["-c", "import drepm_pyg.nn"],
    "import drepm_pyg.data": ["-c", "import drepm_pyg.data"],
    "import drepm_pyg.graph": ["-c", "import drepm_pyg.graph"],
    "import drepm_pyg.models": ["-c", "import drepm_pyg.models"],
    "import drepm_pyg.evaluation": ["-c", "import drepm_pyg.evaluation"],
    "import drepm_pyg.training": ["-c", "import drepm_pyg.training"],
    "drepm --help": ["-m", "drepm_pyg.cli", "--help"],
    "drepm --version": ["-m", "drepm_pyg.cli", "--version"],
    "drepm models": ["-m", "drepm_pyg.cli", "models"],
    "drepm fit --help": ["-m", "drepm_pyg.cli", "fit", "--help"],
}


def main() -> None:
    args = _parse()
    report = Report(args)
    if "processes" in args.rows:
        report.table("processes", "Fresh interpreters (the files are in the page cache)", _processes(args))
    if "first step" in args.rows:
        data = baby.baby(quick=args.quick)
        size = f"{data['user'].num_nodes:,} users, {data['item'].num_nodes:,} items"
        report.table("first step", f"From files to the first step of DRepMRec: {size}", _first_step(data))


def _parse() -> argparse.Namespace:
    options = parser(__doc__)
    parts = ["processes", "first step"]
    options.add_argument("--rows", nargs="+", choices=parts, default=parts)
    options.add_argument("--rounds", type=int, default=5)
    args = options.parse_args()
    if args.quick:
        args.rounds = 1
    return args


def _processes(args: argparse.Namespace) -> list[dict[str, object]]:
    chosen = {name: words for name, words in PROCESSES.items() if not args.quick or "help" in name}
    times = compare({name: _command(words) for name, words in chosen.items()}, rounds=args.rounds)
    peer = times.get("import torch_geometric")
    return [
        {
            "what": name,
            "seconds": timing.median,
            "ratio to import torch_geometric": ratio(timing.median, peer.median if peer else None),
        }
        for name, timing in times.items()
    ]


def _command(words: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True)


def _first_step(data: object) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []

    def timed(what: str, call: Callable[[], object]) -> object:
        started = time.perf_counter()
        value = call()
        rows.append({"what": what, "seconds": time.perf_counter() - started})
        return value

    with tempfile.TemporaryDirectory() as folder:
        write_mmrec(data, Path(folder))
        data = timed("read_mmrec (features stay on disk)", lambda: read_mmrec(folder))
        timed("graphs of items", lambda: AddSimilarityGraphs(10, nodes=("item",), loop=True)(data))
        data = timed("graphs of items and users", lambda: AddSimilarityGraphs(10, loop=True)(data))
        model = timed("DRepMRec.from_data", lambda: DRepMRec.from_data(data))
        triples = timed("the negative sampler", lambda: EpochTriples(data))
        timed("an epoch of triples", lambda: triples.epoch(0))
        step = Step(model, data, triples)
        timed("the first step (structures and targets are built)", step)
        timed("the second step", step)
        rows.append({"what": "a step from then on", "seconds": min(once(step) for _ in range(3))})
    return rows


if __name__ == "__main__":
    main()
