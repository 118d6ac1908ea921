"""How far a search is, for whoever watches."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from drepm_pyg.graph.shortlist import Shortlist

__all__ = ["watched", "watching"]

_watcher: ContextVar[Callable[[float], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Callable[[float], None]) -> Iterator[None]:
    """Within it, every search calls ``watcher`` with the share of its rows that it has candidates for, up to 1."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def watched(lists: Iterable[Shortlist], num_centres: int) -> Iterator[Shortlist]:
    """The shortlists as they are; the watcher, if there is one, hears of each."""
    watcher = _watcher.get()
    for part in lists:
        yield part
        if watcher is not None:
            watcher(part.block.stop / num_centres)
