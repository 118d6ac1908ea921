"""Training, validation and test parts of a list of interactions: at random, by leaving one out, by time."""

from collections.abc import Callable
from typing import Literal

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_choice, check_fraction, check_seed
from drepm_pyg._device import on_the_cpu
from drepm_pyg.data.interactions import Interactions, assign_split
from drepm_pyg.typing import Int, Tensor

__all__ = ["SPLITS", "Split", "check_split", "deal", "leave_one_out_split", "random_split", "temporal_split"]

#: What readers take: the name of a split, any function of the whole data set, or None.
Split = str | Callable[[HeteroData], HeteroData] | None

MIN_HISTORY = 3  # one interaction each for training, validation and test


@on_the_cpu
def random_split(data: HeteroData, *, seed: int = 0, held_out: float = 0.2, min_history: int = 10) -> HeteroData:
    r"""Deal every user's interactions at random: the field's "8:1:1" (MMRec's rule).

    A user with fewer than ``min_history`` interactions gives one to validation and one to test. Any other user with
    :math:`n` interactions gives :math:`h = \lfloor s\, n \rfloor` with :math:`s` = ``held_out``:
    :math:`\lfloor h / 2 \rfloor` to validation, the rest to test. A user with fewer than 3 interactions keeps them all
    for training, so no user becomes unknown.

    The result depends on the set of pairs and the seed, not on the order of the pairs.

    Args:
        data: HeteroData whose interactions, of all splits alike, are dealt anew.
        seed: of the shuffle.
        held_out: the share of a long history that is held out.
        min_history: from this length on a history counts as long.

    Returns:
        A copy of ``data`` (features are shared) with new training, validation and test pairs, and what belongs to each
        of them (:func:`~drepm_pyg.data.assign_split`).
    """
    check_fraction(held_out=held_out)
    check_at_least(MIN_HISTORY, min_history=min_history)
    check_seed(seed=seed)
    pairs = Interactions.of(data).edge_index
    by_pair = _order(pairs[0], pairs[1])
    drawn = torch.rand(pairs.size(1), dtype=torch.float64, generator=torch.Generator().manual_seed(int(seed)))
    priority = torch.empty_like(drawn)
    priority[by_pair] = drawn
    return assign_split(data, _label(pairs[0], _order(pairs[0], priority), held_out, min_history))


@on_the_cpu
def leave_one_out_split(
    data: HeteroData, *, order: Literal["auto", "time", "random"] = "auto", seed: int = 0
) -> HeteroData:
    """Hold out two interactions of every user: the last for test, the last but one for validation.

    A user with fewer than 3 interactions keeps them all for training. Equal time stamps are ordered by item id.

    Args:
        data: HeteroData whose interactions, of all splits alike, are dealt anew.
        order: ``"time"`` (the interactions need time stamps), ``"random"``, or ``"auto"``: by time if there are any.
        seed: of the random order.

    Returns:
        A copy of ``data`` (features are shared) with new training, validation and test pairs, and what belongs to each
        of them (:func:`~drepm_pyg.data.assign_split`).

    Raises:
        ValueError: ``order="time"`` without time stamps, or time stamps that are not all finite.
    """
    check_choice(("auto", "time", "random"), order=order)
    if order == "random" or (order == "auto" and Interactions.of(data).time is None):
        return random_split(data, seed=seed, held_out=0.0, min_history=torch.iinfo(torch.long).max)
    pairs, time = _timed(data)
    return assign_split(data, _label(pairs[0], _latest_first(pairs, time), 0.0, torch.iinfo(torch.long).max))


@on_the_cpu
def temporal_split(data: HeteroData, *, val: float = 0.1, test: float = 0.1, drop_unknown: bool = True) -> HeteroData:
    """Train on the past, validate and test on the future: all histories are cut at the same two moments.

    Interactions of one moment are never torn apart: a cut that falls among equal time stamps moves back to the first
    of them.

    Args:
        data: HeteroData with time stamps, whose interactions, of all splits alike, are dealt anew.
        val: the share of all interactions between the two moments.
        test: the share of the latest interactions.
        drop_unknown: leave held-out pairs of users out who are not in the training part.

    Returns:
        A copy of ``data`` (features are shared) with new training, validation and test pairs, and what belongs to each
        of them (:func:`~drepm_pyg.data.assign_split`).

    Raises:
        ValueError: there are no time stamps, not all of them are finite, or nothing would be left for training.
    """
    check_fraction(val=val, test=test, **{"val + test": val + test})
    _, time = _timed(data)
    moments = time.sort().values
    label = torch.zeros(time.numel(), dtype=torch.long)
    for number, share in ((1, val + test), (2, test)):
        held_out = int(time.numel() * share + 1e-9)  # as in _floor
        if held_out:
            label[time >= moments[-held_out]] = number
    return assign_split(data, label, drop_unknown=drop_unknown)


def _timed(data: HeteroData) -> tuple[Tensor, Tensor]:
    """The pairs and their time stamps, all of them finite: a NaN is neither before nor after a moment."""
    interactions = Interactions.of(data)
    time = interactions.time
    if time is None:
        raise ValueError(
            "A split by time needs a time stamp for every interaction (data['user', 'interacts', 'item'].time is "
            "missing). Read the data with its time column, or split at random."
        )
    timeless = int((~time.isfinite()).sum())
    if timeless:
        raise ValueError(
            f"A split by time needs a finite time stamp for every interaction ({timeless:,} of {time.numel():,} have "
            "none). Fill or remove these interactions, or split at random."
        )
    return interactions.edge_index, time


def _latest_first(pairs: Int[Tensor, "2 E"], time: Tensor) -> Int[Tensor, " E"]:
    newest = _order(time, pairs[1]).flip(0)
    return newest[pairs[0][newest].argsort(stable=True)]


def _order(first: Tensor, second: Tensor) -> Int[Tensor, " E"]:
    """The permutation that sorts by ``first``, then by ``second``."""
    by_second = second.argsort(stable=True)
    return by_second[first[by_second].argsort(stable=True)]


def _label(user: Int[Tensor, " E"], order: Int[Tensor, " E"], held_out: float, min_history: int) -> Int[Tensor, " E"]:
    """0, 1, 2 per interaction; ``order`` lists the interactions user by user, those for test first."""
    count = torch.bincount(user)
    held = torch.where(count < min_history, 2, _floor(count, held_out))
    held[count < MIN_HISTORY] = 0
    num_val = held // 2
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - (count.cumsum(0) - count)[user[order]]
    label = torch.where(place < held[user], 1, 0)
    label[place < (held - num_val)[user]] = 2
    return label


def _floor(count: Int[Tensor, " U"], share: float) -> Int[Tensor, " U"]:
    # 0.29 * 100 is 28.999...: the exact product's floor is meant.
    return (count.double() * share + 1e-9).floor().long()


#: The splits that can be named, as functions of the data, the seed and whether to drop unknown users.
SPLITS: dict[str, Callable[[HeteroData, int, bool], HeteroData]] = {
    "random": lambda data, seed, _: random_split(data, seed=seed),
    "leave_one_out": lambda data, seed, _: leave_one_out_split(data, seed=seed),
    "temporal": lambda data, _, drop_unknown: temporal_split(data, drop_unknown=drop_unknown),
}


def check_split(split: Split) -> None:
    """What is no function must be the name of one of :data:`SPLITS`, or None."""
    if split is not None and not callable(split):
        check_choice(tuple(SPLITS), split=split)


def deal(data: HeteroData, split: Split, seed: int, *, drop_unknown: bool = True) -> HeteroData:
    """``data`` with its interactions dealt by ``split``; as they are for None."""
    if split is None:
        return data
    if isinstance(split, str):
        return SPLITS[split](data, seed, drop_unknown)
    dealt = split(data)
    if not isinstance(dealt, HeteroData):
        raise TypeError(f"'split' must return HeteroData (got a {type(dealt).__name__}). Does the function return it?")
    return dealt
