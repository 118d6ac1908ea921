"""Several processes, each with a share of the rows that are searched for."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.graph.neighbors import Neighbors

__all__ = ["check_initialized", "gathered", "share", "together"]

_T = TypeVar("_T")


def check_initialized() -> None:
    """The processes must have found each other.

    Raises:
        RuntimeError: if torch.distributed is not initialised.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "'distributed=True' needs torch.distributed (got no process group). Call "
            "torch.distributed.init_process_group first, in every process."
        )


def share(nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The consecutive nodes that this process searches for."""
    from torch import distributed

    return np.array_split(nodes, distributed.get_world_size())[distributed.get_rank()]


def gathered(mine: _T) -> list[_T]:
    """What every process has, in the order of the ranks, in every process."""
    from torch import distributed

    parts: list[_T | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, mine)
    return [part for part in parts if part is not None]


def together(mine: Neighbors) -> Neighbors:
    """The neighbours of all processes' nodes, in every process."""
    every = gathered(mine)
    return Neighbors(
        np.concatenate([part.nodes for part in every]),
        np.concatenate([part.index for part in every]),
        np.concatenate([part.score for part in every]),
    )
