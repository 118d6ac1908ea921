"""Uniform negatives: items that are no training item of the user."""

import torch

from drepm_pyg._checks import (
    check_at_least,
    check_edge_index,
    check_generator,
    check_ids,
    check_node_ids,
    check_tensors,
)
from drepm_pyg._memo import memoize
from drepm_pyg.typing import Int, Tensor

__all__ = ["NegativeSampler", "sample_negatives"]

_BLOCK = 1 << 16  # draws at a time: what they look at stays in a core's cache


class NegativeSampler:
    r"""Draws items uniformly from the candidates that are no training item of the user; exact, and without rejection.

    Let :math:`p_0 < p_1 < \dots` be the places of a user's items in the sorted list of candidates, and
    :math:`q_j = p_j - j` the number of free candidates before the j-th of them. The r-th free candidate then stands at
    place :math:`r + |\{j : q_j \le r\}|`: draw r uniformly, count by one look-up in the sorted keys
    :math:`(u, q_j)`. The time does not depend on how much of the catalogue a user has seen.

    Args:
        edge_index: training pairs (row 0 users, row 1 items); the sampler lives on their device.
        num_items: number of items.
        candidates: the items to draw from, each counted once; None for the items that occur in ``edge_index``.

    Raises:
        ValueError: an id out of range, or no candidate.
    """

    def __init__(
        self, edge_index: Int[Tensor, "2 E"], num_items: int, candidates: Int[Tensor, " C"] | None = None
    ) -> None:
        check_edge_index(edge_index)
        check_at_least(1, num_items=num_items)
        check_node_ids(**{"edge_index[0]": edge_index[0]})
        check_ids(num_items, what="items", **{"edge_index[1]": edge_index[1]})
        if candidates is not None:
            check_tensors(candidates=candidates)
            check_ids(num_items, what="items", candidates=candidates)
        self.candidates = (edge_index[1] if candidates is None else candidates.long()).unique()
        if self.candidates.numel() == 0:
            raise ValueError(
                "There is no candidate to draw from: 'candidates' (by default the items of 'edge_index') is empty."
            )

        place = edge_index.new_full((num_items,), -1)
        place[self.candidates] = torch.arange(len(self.candidates), device=place.device)
        user, taken = edge_index[0], place[edge_index[1]]
        self._stride = len(self.candidates)
        pairs = (user * self._stride + taken)[taken >= 0].unique()
        owner = pairs // self._stride
        # One row more than there are users: it stands for every user without a training pair.
        count = torch.bincount(owner, minlength=1 + int(user.max()) if user.numel() else 0)
        count = torch.cat([count, count.new_zeros(1)])
        self._start = count.cumsum(0) - count
        self._free = self._stride - count
        self._keys = pairs - (torch.arange(len(pairs), device=pairs.device) - self._start[owner])
        self._sated = (self._free == 0).nonzero().flatten()

    def sample(self, user: Int[Tensor, " B"], generator: torch.Generator | None = None) -> Int[Tensor, " B"]:
        """One item for each entry of ``user``.

        Args:
            user: users, in any order and number; one without a training pair may get any candidate.
            generator: on the device of the training pairs; None for torch's own.

        Raises:
            ValueError: a user has interacted with every candidate.
        """
        check_tensors(user=user)
        check_generator(generator)
        if user.ndim != 1:
            raise ValueError(f"'user' must have the shape [B] (got {list(user.shape)}).")
        if user.numel() == 0:
            return user.new_empty(0)
        row = user.clamp(max=len(self._free) - 1)
        self._check(user, row)
        # Neighbouring look-ups hit the same cache lines: sorting pays for itself twice over, as 32 bits most of all.
        row, order = row.int().sort() if len(self._free) < 1 << 31 else row.sort()
        size = _BLOCK if row.device.type == "cpu" else len(row)
        item = torch.cat([self._drawn(part.long(), generator) for part in row.split(size)])
        return torch.empty_like(item).index_copy_(0, order, item)

    def _drawn(self, row: Int[Tensor, " B"], generator: torch.Generator | None) -> Int[Tensor, " B"]:
        """One item for each of some rows in ascending order."""
        # torch selects entries of a vector in half of the time that indexing takes.
        free, first = self._free.index_select(0, row), self._start.index_select(0, row)
        rank = torch.empty_like(row).random_(generator=generator) % free
        # What lies between the first row's keys and the last one's: a search among few of them stays in cache.
        keys = self._keys[int(first[0]) : int(first[-1] + self._stride - free[-1])]
        passed = torch.searchsorted(keys, row * self._stride + rank, right=True) + (first[0] - first)
        return self.candidates.index_select(0, rank + passed)

    def _check(self, user: Int[Tensor, " B"], row: Int[Tensor, " B"]) -> None:
        if user.dtype != torch.long:
            raise TypeError(f"'user' must be a long tensor (got {user.dtype}).")
        check_node_ids(user=user)  # a user whom no training pair names may get any candidate
        if self._sated.numel():
            sated = user[torch.isin(row, self._sated)].unique()
            if sated.numel():
                raise ValueError(
                    f"'user' names {sated.numel()} users who have interacted with all {self._stride:,} candidates, so "
                    f"that no negative exists (first: {sated[:5].tolist()}). Pass more 'candidates', or leave these "
                    "users out."
                )


def sample_negatives(
    user: Int[Tensor, " B"],
    edge_index: Int[Tensor, "2 E"],
    num_items: int,
    *,
    candidates: Int[Tensor, " C"] | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " B"]:
    """For every user of the batch one uniform item that is no training item of theirs (Eq. 14).

    The sorted look-up is built once per ``edge_index`` tensor where ``candidates`` is None; with candidates of your
    own, hold a :class:`NegativeSampler`.

    Args:
        user: users of the batch, in any order.
        edge_index: training pairs.
        num_items: number of items.
        candidates: the items to draw from; None for the items that occur in ``edge_index``.
        generator: for reproducible draws.

    Raises:
        ValueError: an id out of range, or a user who has interacted with every candidate.

    Example:
        >>> edge_index = torch.tensor([[0, 0, 1], [0, 1, 2]])
        >>> sample_negatives(torch.tensor([0, 0]), edge_index, num_items=3)
        tensor([2, 2])
    """
    check_edge_index(edge_index)
    if candidates is not None:
        return NegativeSampler(edge_index, num_items, candidates).sample(user, generator)
    sampler = memoize(("negatives", num_items), lambda: NegativeSampler(edge_index, num_items), edge_index)
    return sampler.sample(user, generator)
