"""A training epoch as triples: drawn, shuffled and cut at once."""

from collections.abc import Iterator

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.data import NegativeSampler
from drepm_pyg.data.schema import split_pairs
from drepm_pyg.models import Triples
from drepm_pyg.typing import Int, Tensor

__all__ = ["EpochTriples", "epoch_generator"]

_ITEM_BITS = 32
_CACHED = 1 << 21  # pairs; torch.randperm writes all over as many numbers, and a cache holds no more (measured)


def epoch_generator(seed: int, epoch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of one epoch: it depends on (seed, epoch) alone, so that a resumed run draws what it would have."""
    # Far-apart seeds for neighbouring pairs; manual_seed takes 64 bits.
    return torch.Generator(device=device).manual_seed((seed * 1_000_003 + epoch) % 2**63)


def _order(count: int, generator: torch.Generator) -> Int[Tensor, " E"]:
    """A random order of ``count`` pairs, in time that grows with their number."""
    device = generator.device
    if count <= _CACHED or device.type != "cpu":
        return torch.randperm(count, generator=generator, device=device)
    # Sorted by digits. Two numbers are equal with a chance of 2^-31; the first one then stays the first.
    numbers = torch.empty(count, dtype=torch.int32, device=device).random_(generator=generator)
    return numbers.sort(stable=True).indices


class EpochTriples:
    """The triples of an epoch in batches: each training pair once, with one uniform negative.

    Args:
        data: the schema's HeteroData; triples are drawn on its device.
        batch_size: triples per batch; the last batch is kept, however small.
        seed: with the epoch, it determines the order and the negatives.

    Raises:
        ValueError: where there is no training pair.
    """

    def __init__(self, data: HeteroData, *, batch_size: int = 2048, seed: int = 0) -> None:
        check_at_least(1, batch_size=batch_size)
        edge_index = split_pairs(data, "train")
        if edge_index is None or edge_index.size(1) == 0:
            got = "no edge_index" if edge_index is None else "an empty edge_index"
            raise ValueError(f"'data' must have at least one training pair (got {got}).")
        self.edge_index = edge_index
        self.batch_size, self.seed = batch_size, seed
        # A pair in one number: to shuffle them, memory is read at random once a pair.
        self._pairs = self.edge_index[0] << _ITEM_BITS | self.edge_index[1]
        self.sampler = NegativeSampler(self.edge_index, data["item"].num_nodes)

    def __len__(self) -> int:
        pairs: int = self.edge_index.size(1)
        return -(-pairs // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Triples]:
        """The batches of one epoch."""
        generator = epoch_generator(self.seed, epoch, self.edge_index.device)
        pair = self._pairs.index_select(0, _order(self.edge_index.size(1), generator))
        user, positive = pair >> _ITEM_BITS, pair & (1 << _ITEM_BITS) - 1
        negative = self.sampler.sample(user, generator)
        batches = zip(*(ids.split(self.batch_size) for ids in (user, positive, negative)), strict=True)
        return (Triples(*batch) for batch in batches)
