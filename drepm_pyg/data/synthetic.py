"""Interactions of any size from latent factors that the features show in part."""

import itertools
import math
from collections.abc import Callable, Mapping

import torch
from torch_geometric.data import HeteroData, InMemoryDataset

from drepm_pyg._checks import check_at_least, check_non_negative, check_seed
from drepm_pyg._device import on_the_cpu
from drepm_pyg.data.negatives import NegativeSampler
from drepm_pyg.data.schema import build_data, check_modality_name
from drepm_pyg.data.splits import random_split
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["MODALITIES", "SyntheticMultimodal"]

MODALITIES: Mapping[str, tuple[int, float]] = {"image": (64, 0.5), "text": (32, 1.0)}

BLOCK = 2**20  # interactions drawn at once
_SHARPNESS = 4.0  # nodes then belong mostly to one or two of the factors
_MIN_HISTORY = 5  # the field's data sets are 5-cores
_ROUNDS = 4  # of replacing repeated draws by taste, before free items fill up the longest histories


class SyntheticMultimodal(InMemoryDataset):
    r"""A multimodal data set of any size whose structure is known.

    Users and items belong to K latent factors by weights :math:`t_u, w_i \in \Delta^{K-1}`, the softmax of 4 times a
    Gaussian vector. An interaction of user u chooses a factor k, then an item,

    .. math:: P(k \mid u) = t_{uk}, \qquad P(i \mid k) \propto \mathrm{rank}(i)^{-a}\, w_{ik}

    so that popularity follows a power law; history lengths are log-normal, from 5 on. Modality m shows the items'
    weights, standardised to :math:`z_i`, through a random projection and noise:

    .. math:: x_i = \sqrt{\tfrac{s}{1 + s}}\, \tfrac{1}{\sqrt K} A_m z_i + \sqrt{\tfrac{1}{1 + s}}\, \varepsilon_i

    with s the signal-to-noise ratio of the modality; every entry has variance 1. No array of users times items is ever
    made: a hundred times Amazon Baby (1.9 million users, 0.7 million items, 16 million interactions) fits in memory.

    Args:
        num_users: number of users.
        num_items: number of items.
        num_interactions: of all splits together; None for ten a user (or half the catalogue, if that is less).
        modalities: width and signal-to-noise ratio by name (0: noise alone).
        num_factors: K.
        popularity: the exponent a; 0 for items that are equally popular.
        seed: of everything, the split (:func:`~drepm_pyg.data.random_split`) included.
        transform: applied at every access.
        pre_transform: applied once.

    Raises:
        ValueError: a size that is too small, fewer interactions than users, or so many that a user had every item.

    Example:
        >>> SyntheticMultimodal(num_users=100, num_items=50, seed=0)[0]["item"].image.shape
        torch.Size([50, 64])
    """

    @on_the_cpu
    def __init__(
        self,
        num_users: int = 200,
        num_items: int = 100,
        *,
        num_interactions: int | None = None,
        modalities: Mapping[str, tuple[int, float]] = MODALITIES,
        num_factors: int = 16,
        popularity: float = 0.8,
        seed: int = 0,
        transform: Callable[[HeteroData], HeteroData] | None = None,
        pre_transform: Callable[[HeteroData], HeteroData] | None = None,
    ) -> None:
        check_at_least(1, num_users=num_users, num_factors=num_factors)
        check_at_least(2, num_items=num_items)
        check_non_negative(popularity=popularity)
        for name, (width, snr) in modalities.items():
            check_modality_name(name)
            check_at_least(1, **{f"modalities[{name!r}][0]": width})
            check_non_negative(**{f"modalities[{name!r}][1]": snr})
        if num_interactions is None:
            num_interactions = num_users * min(10, math.ceil(num_items / 2))
        check_at_least(1, num_interactions=num_interactions)
        if not num_users <= num_interactions <= num_users * (num_items - 1):
            raise ValueError(
                f"'num_interactions' must lie between one a user and all items but one ({num_users:,} to "
                f"{num_users * (num_items - 1):,} for {num_users:,} users and {num_items:,} items; got "
                f"{num_interactions:,})."
            )
        check_seed(seed=seed)
        super().__init__(None, transform, pre_transform)
        generator = torch.Generator().manual_seed(int(seed))
        weights = _draw_weights(num_items, num_factors, generator)
        lengths = _history_lengths(num_users, num_items - 1, num_interactions, generator)
        pairs = _draw_pairs(lengths, weights, popularity, generator)
        features = {name: _show(weights, *modalities[name], generator) for name in sorted(modalities)}
        data = random_split(build_data(num_users, num_items, pairs, features=features), seed=seed)
        self.data, self.slices = self.collate([data if pre_transform is None else pre_transform(data)])


def _draw_weights(num_nodes: int, num_factors: int, generator: torch.Generator) -> Float[Tensor, "N K"]:
    """How far each node belongs to each factor; rows sum to 1."""
    return (_SHARPNESS * torch.randn(num_nodes, num_factors, generator=generator)).softmax(dim=1)


def _history_lengths(num_users: int, longest: int, total: int, generator: torch.Generator) -> Int[Tensor, " U"]:
    """Log-normal lengths of at least 5 (as far as ``total`` allows) and at most ``longest`` that sum to ``total``."""
    least = min(_MIN_HISTORY, total // num_users, longest)
    weight = torch.randn(num_users, generator=generator, dtype=torch.float64).exp()
    lengths = least + (weight * ((total - least * num_users) / weight.sum())).long()
    lengths.clamp_(max=longest)
    while (missing := total - int(lengths.sum())) > 0:
        open_ended = (lengths < longest).nonzero().flatten()
        each = max(1, missing // len(open_ended))
        takers = open_ended[: missing // each]
        lengths[takers] = (lengths[takers] + each).clamp(max=longest)
    return lengths


def _draw_pairs(
    lengths: Int[Tensor, " U"], weights: Float[Tensor, "I K"], popularity: float, generator: torch.Generator
) -> Int[Tensor, "2 E"]:
    """``lengths[u]`` distinct items for every user, sorted by user and item."""
    num_users, num_items = len(lengths), len(weights)
    tastes = _draw_weights(num_users, weights.size(1), generator).cumsum(dim=1)
    rank = 1 + torch.randperm(num_items, generator=generator)
    appeal = rank.float().pow(-popularity)[:, None] * weights
    keys = torch.empty(0, dtype=torch.long)
    for attempt in itertools.count():
        found = torch.bincount(keys // num_items, minlength=num_users)
        user = torch.arange(num_users).repeat_interleave(lengths - found)
        if user.numel() == 0:
            return torch.stack([keys // num_items, keys % num_items])
        if attempt < _ROUNDS:
            item = _choose(user, tastes, appeal, generator)
        else:
            edge_index = torch.stack([keys // num_items, keys % num_items])
            item = NegativeSampler(edge_index, num_items, torch.arange(num_items)).sample(user, generator)
        keys = torch.cat([keys, user * num_items + item]).unique()
    raise AssertionError("unreachable: the sampler finds a free item for every user in every round")


def _choose(
    user: Int[Tensor, " B"], tastes: Float[Tensor, "U K"], appeal: Float[Tensor, "I K"], generator: torch.Generator
) -> Int[Tensor, " B"]:
    """A factor by the user's (cumulative) taste, then an item by its appeal within the factor."""
    num_items, num_factors = appeal.shape
    chosen = []
    for block in user.split(BLOCK):
        level = torch.rand(len(block), 1, generator=generator)
        chosen.append((tastes[block] <= level).sum(dim=1).clamp(max=num_factors - 1).short())
    factor = torch.cat(chosen)
    item = torch.empty_like(user)
    for k in range(num_factors):
        rows = (factor == k).nonzero().flatten()
        cumulative = appeal[:, k].cumsum(dim=0, dtype=torch.float64)
        level = torch.rand(len(rows), dtype=torch.float64, generator=generator) * cumulative[-1]
        item[rows] = torch.searchsorted(cumulative, level, right=True).clamp(max=num_items - 1)
    return item


def _show(weights: Float[Tensor, "I K"], width: int, snr: float, generator: torch.Generator) -> Float[Tensor, "I F"]:
    """A random projection of the standardised weights and noise, at the given ratio of their variances."""
    num_items, num_factors = weights.shape
    spread = weights.std(dim=0, correction=0).clamp(min=1e-12)  # a single factor weighs 1 everywhere
    signal = (weights - weights.mean(dim=0)) / spread @ torch.randn(num_factors, width, generator=generator)
    noise = torch.randn(num_items, width, generator=generator)
    return math.sqrt(snr / (1 + snr) / num_factors) * signal + math.sqrt(1 / (1 + snr)) * noise
