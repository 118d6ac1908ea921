"""The processes of a sweep: each takes the next trial until none is left."""

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from multiprocessing import get_context, parent_process
from multiprocessing.queues import SimpleQueue

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.experiments.graphs_at_hand import GraphsAtHand
from drepm_pyg.experiments.search.plan import SweepPlan
from drepm_pyg.experiments.search.study import STATE_NAMES, Claim, ModelStudy, open_storage, shared_lock
from drepm_pyg.experiments.search.tables import read_rows, write_tables
from drepm_pyg.experiments.search.trial import Outcome, run_trial

__all__ = ["run_workers", "work"]


def work(plan: SweepPlan, data: HeteroData, fingerprint: str, *, progress: bool) -> None:
    """Run trials until all of them are done, or in the hands of other processes.

    Args:
        plan: the sweep.
        data: without similarity graphs.
        fingerprint: of ``data``.
        progress: a line per trial on stderr.
    """
    starter = parent_process()
    graphs = GraphsAtHand(data, plan.cache)
    with open_storage(plan.root) as storage:
        studies = [ModelStudy(plan, name, storage, fingerprint) for name in plan.spaces]
        # A process that lost the one that started it takes no further trial: nobody waits for it.
        while (starter is None or starter.is_alive()) and (claim := _next(studies)) is not None:
            try:
                run = plan.experiment(claim.model, claim.settings)
                place = {"root": str(plan.root), "name": f"{claim.model}/trial-{claim.number:03d}"}
                run = replace(run, options={**run.options, **place})
                outcome = run_trial(run, graphs.of(run), claim.trial, plan.monitor)
                with shared_lock(plan.root):
                    outcome.record(claim, plan.monitor)
                    write_tables(plan, read_rows(storage))
            finally:
                claim.lock.release()
            if progress:
                print(_line(plan, claim, outcome), file=sys.stderr, flush=True)


def run_workers(plan: SweepPlan, jobs: int, *, progress: bool) -> None:
    """Run ``jobs`` processes at once, each with its share of torch's threads.

    Raises:
        ChildProcessError: where one of them stopped with an error; the others end their work first.
        KeyboardInterrupt: after Ctrl-C, when all of them have ended.
    """
    context = get_context("spawn")  # a fork would take torch's threads over in an undefined state
    errors: SimpleQueue[str] = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // jobs)
    workers = [
        context.Process(target=_worker, args=(plan, threads, progress, errors), daemon=True) for _ in range(jobs)
    ]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        raise
    if not errors.empty():
        raise ChildProcessError(f"A process of the sweep stopped with {errors.get()} The same call goes on.")
    status = next((worker.exitcode for worker in workers if worker.exitcode), 0)
    if status:
        raise ChildProcessError(f"A process of the sweep ended with status {status}. The same call goes on.")


def _worker(plan: SweepPlan, threads: int, progress: bool, errors: "SimpleQueue[str]") -> None:
    from drepm_pyg.training import fingerprint

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one hears Ctrl-C, and ends it
    torch.set_num_threads(threads)
    try:
        with redirect_stdout(sys.stderr):
            data = plan.read_data()
            work(plan, data, fingerprint(data), progress=progress)
    except KeyboardInterrupt:
        sys.exit(1)
    except Exception as error:
        errors.put(f"{type(error).__name__}: {error}")


def _next(studies: Sequence[ModelStudy]) -> Claim | None:
    """Model by model; a trial of an earlier one that was cut short in the meantime comes first."""
    return next((claim for study in studies if (claim := study.claim()) is not None), None)


def _line(plan: SweepPlan, claim: Claim, outcome: Outcome) -> str:
    score = outcome.metrics.get(plan.monitor)
    told = STATE_NAMES[outcome.state] + ("" if score is None else f", {plan.monitor} {score:.4f}")
    cost = f"{outcome.epochs} epochs, {outcome.seconds:.1f} s"
    return f"{claim.model} trial {claim.number} of {plan.trials}: {told}, {cost}, {json.dumps(claim.settings)}"
