"""Run what is not finished yet, one after another or several at once; a run that fails does not stop the rest."""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock

import torch

from drepm_pyg.experiments.graphs_at_hand import GraphsAtHand
from drepm_pyg.experiments.reproduction.kept import keep
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.remaining import Remaining
from drepm_pyg.experiments.reproduction.train_run import train_run
from drepm_pyg.training.run import write_config

__all__ = ["LOG", "run_all"]

#: What a process of its own printed, in the run's folder.
LOG = "log.txt"


def run_all(places: Iterable[Place], context: Context, *, jobs: int, progress: bool) -> dict[Path, str]:
    """Train every run that is not finished, and say what went wrong.

    Args:
        places: the runs; one may come several times.
        context: the data.
        jobs: how many at once; one runs in this process, more in processes of their own, with their share of the
            threads each.
        progress: a line per run on stderr, with the time that is left.

    Returns:
        one line by the folder of every run that failed.

    Raises:
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    distinct = {place.folder: place for place in places}
    todo = {place.folder.name: place for place in distinct.values() if not place.finished}
    told = Remaining(todo, jobs) if progress else None
    if progress and len(todo) < len(distinct):
        print(f"{len(distinct) - len(todo)} of {len(distinct)} runs are finished already.", file=sys.stderr, flush=True)
    for place in todo.values():
        place.folder.mkdir(parents=True, exist_ok=True)
        write_config(place.folder, place.experiment.to_config())  # what a process of its own reads
    try:
        failures = {}
        # A terminal shows the epochs of the run at hand; in a log file they would bury the lines of the runs.
        bar = progress and sys.stderr.isatty()
        outcomes = _one_by_one(todo, context, bar) if jobs == 1 else _at_once(todo, context, jobs)
        for key, error, seconds in outcomes:
            if error is not None:
                failures[todo[key].folder] = error
            elif context.kept is not None:
                keep(todo[key], context.kept)
            if told is not None:
                told.tell(key, error, seconds)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("Stopped; the same command goes on where it was.") from stop
    return failures


def _one_by_one(todo: Mapping[str, Place], context: Context, bar: bool) -> Iterator[tuple[str, str | None, float]]:
    graphs = GraphsAtHand(context.data, context.cache)
    for key, place in todo.items():
        began = time.perf_counter()
        try:
            train_run(place, graphs.of(place.experiment), progress=bar)
            error = None if place.finished else "it did not record what was asked for"
        except Exception as problem:
            error = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
        yield key, error, time.perf_counter() - began


def _at_once(todo: Mapping[str, Place], context: Context, jobs: int) -> Iterator[tuple[str, str | None, float]]:
    threads = max(1, torch.get_num_threads() // jobs)
    processes = _Processes()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {
            pool.submit(processes.run, _command(place, context, threads), place): key for key, place in todo.items()
        }
        try:
            for done in as_completed(waiting):
                error, seconds = done.result()
                yield waiting[done], error, seconds
        finally:
            processes.stop()  # before the pool waits for them


def _command(place: Place, context: Context, threads: int) -> list[str]:
    module = "drepm_pyg.experiments.reproduction.worker"
    options = ["--cache", str(context.cache), "--threads", str(threads), "--tied", "--watch", *sorted(place.watch)]
    return [sys.executable, "-m", module, str(place.folder), *options]


class _Processes:
    """The processes at work, so that none outlives the one that started them."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False
        self.lock = Lock()

    def run(self, command: list[str], place: Place) -> tuple[str | None, float]:
        """Run one to its end: what went wrong, and how long it took."""
        began = time.perf_counter()
        with (place.folder / LOG).open("wb") as log:
            with self.lock:
                if self.stopped:
                    return "stopped", 0.0
                # The system closes a pipe with the process that holds it, however that ends: what the worker waits for.
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.PIPE)
                self.running.add(process)
            with process:
                status = process.wait()
            with self.lock:
                self.running.discard(process)
        if status == 0 and place.finished:
            return None, time.perf_counter() - began
        lines = (place.folder / LOG).read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
        return f"{last} (status {status}, see {place.folder / LOG})", time.perf_counter() - began

    def stop(self) -> None:
        """End all of them; what they have finished is on disk."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.terminate()
