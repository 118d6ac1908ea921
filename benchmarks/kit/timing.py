"""Seconds: calls in turn, so that what else happens on the machine meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of every repetition of one call."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """What a table shows."""
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """What a limit is measured by."""
        return min(self.seconds)


def compare(
    calls: Mapping[str, Call], *, rounds: int, device: str = "cpu", patience: float = float("inf")
) -> dict[str, Timing]:
    """Warm every call up, then time one of each per round.

    Args:
        calls: the calls by name.
        rounds: repetitions.
        device: what is waited for before a clock is read.
        patience: seconds after which no further round begins; the first round is always run.
    """
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for _ in range(rounds):
        for name, call in calls.items():
            seconds[name].append(once(call, device))
        if time.perf_counter() - began > patience:
            break
    return {name: Timing(tuple(times)) for name, times in seconds.items()}


def once(call: Call, device: str = "cpu") -> float:
    """The seconds of one call."""
    wait(device)
    started = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Until a CUDA device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
