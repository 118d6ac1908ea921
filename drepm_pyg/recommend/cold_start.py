"""Representations of items that nobody has touched yet, from the items that look, read or sound like them."""

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from drepm_pyg._arrays import product_into
from drepm_pyg._checks import check_at_least, check_choice, check_finite, check_non_negative, check_tensors, said_of
from drepm_pyg._memo import memoize
from drepm_pyg.graph import bipartite_knn_graph
from drepm_pyg.graph.products import unit_roundoff
from drepm_pyg.recommend.catalog import Catalog
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["modal_representations"]

_NEIGHBORS = 10  # by default
_BLOCK_ENTRIES = 2**22  # cosines at once: 16 MB of float32
_LONGEST = 1e15  # the squares of rows up to this length, and from its inverse on, can be added in float32


def modal_representations(
    features: Mapping[str, Float[Tensor, "B F"]],
    catalog: Catalog,
    item: Float[Tensor, "I D"],
    *,
    k: int | None = None,
    weights: Mapping[str, float] | None = None,
    masks: Mapping[str, Bool[Tensor, " B"]] | None = None,
) -> Float[Tensor, "B D"]:
    r"""Rows for new items: one row of the similarity graphs' convolution (DRepMRec, Eq. 5-7), over the known items.

    .. math::
        e_j = \sum_m \frac{\alpha_m r_{jm}}{\sum_{m'} \alpha_{m'} r_{jm'}} \;
            \frac{1}{k} \sum_{i \in \mathcal{N}_m(j)} e_i

    with :math:`\mathcal{N}_m(j)` the ``k`` items whose features of modality m have the largest cosine with those of the
    new item, as :func:`~drepm_pyg.graph.bipartite_knn_graph` finds them, and :math:`r_{jm} = 1` where it has the
    modality. The neighbours are items the model was trained with, so that the order in which items are added does not
    matter. Where its neighbours disagree, a new item's row is short and it stays behind the items that are known to be
    liked.

    Args:
        features: the new items' raw features by modality: one or more of the catalog's.
        catalog: the known items' features.
        item: the known items' rows.
        k: neighbours in each modality; None: 10, or all where there are fewer.
        weights: :math:`\alpha_m`; None: equal.
        masks: by modality, which new items have it (True: present); a modality without a mask is complete.

    Raises:
        ValueError: where a modality is unknown, widths or lengths do not fit, values are not finite, ``k`` is larger
            than the number of items with the modality, or an item has no modality at all.
    """
    if not isinstance(features, Mapping):
        raise TypeError(f"'features' must map modalities to matrices (got a {type(features).__name__}).")
    num_new = _check_features(features, catalog)
    masks = {name: _check_mask(name, mask, num_new) for name, mask in (masks or {}).items()}
    weights = dict.fromkeys(features, 1.0) if weights is None else dict(weights)
    for argument, names in (("weights", weights), ("masks", masks)):
        for name in names:
            check_choice(list(features), **{argument: name})
    check_non_negative(**{f"weights[{name!r}]": weight for name, weight in weights.items()})
    total, share = item.new_zeros(num_new, item.size(1)), item.new_zeros(num_new, 1)
    for name, x in features.items():
        present = masks.get(name, torch.ones(num_new, dtype=torch.bool))
        check_finite(**{f"features[{name!r}]": x[present]})
        neighbors = _nearest(x[present], catalog.features[name], catalog.masks.get(name), k, name)
        total[present] += weights.get(name, 0.0) * item[neighbors.to(item.device)].mean(dim=1)
        share[present] += weights.get(name, 0.0)
    lacking = (share == 0).flatten().nonzero().flatten()
    if len(lacking):
        raise ValueError(
            f"'features' must give every new item a modality of positive weight ({len(lacking)} have none, first: "
            f"{lacking[:5].tolist()}). Leave these items out."
        )
    return total / share


def _check_features(features: Mapping[str, Tensor], catalog: Catalog) -> int:
    if not catalog.features:
        raise ValueError("'features' cannot be compared: the data of this recommender has no features of its items.")
    if not features:
        raise ValueError(
            f"'features' must map a modality of {sorted(catalog.features)} to a matrix (got an empty mapping)."
        )
    for name, x in features.items():
        check_choice(sorted(catalog.features), features=name)
        check_tensors(**{f"features[{name!r}]": x})
        width = catalog.features[name].size(1)
        if x.ndim != 2 or x.size(1) != width or not x.is_floating_point():
            raise ValueError(
                f"'features[{name!r}]' must be a float matrix [items, {width}] (got {x.dtype}, {list(x.shape)})."
            )
    counts = {name: len(x) for name, x in features.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"'features' must have a row per new item in every modality (got {counts} rows).")
    return next(iter(counts.values()))


def _check_mask(name: str, mask: Tensor, num_new: int) -> Tensor:
    check_tensors(**{f"masks[{name!r}]": mask})
    if mask.dtype != torch.bool or mask.shape != (num_new,):
        raise ValueError(f"'masks[{name!r}]' must be bool [{num_new}] (got {mask.dtype}, {list(mask.shape)}).")
    return mask


def _nearest(x: Tensor, known: Tensor, mask: Tensor | None, k: int | None, name: str) -> Int[Tensor, "B K"]:
    """The ``k`` known rows with the largest cosine."""
    there = len(known) if mask is None else int(mask.sum())
    k = min(_NEIGHBORS, max(1, there)) if k is None else k
    check_at_least(1, k=k)
    if k > there:
        raise ValueError(f"'k' must be at most the number of items with '{name}' (got k={k} for {there}). Lower 'k'.")
    if not len(x):
        return torch.empty(0, k, dtype=torch.long, device=known.device)
    x = x.detach().to(known.device)
    norm = memoize("norms of the known rows", lambda: _norms(known), known)
    known = known.detach()
    # The search reads all rows it is given in float64, which for one new item takes 20 times as long as the products.
    asked = _in_question(x, known, norm, mask, k)
    with said_of(f"data['item'].{name}"):
        edge_index = bipartite_knn_graph(known, x, k, mask=asked)
    return edge_index[0].view(-1, k)


def _norms(known: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(_at_least_single(known.detach()), dim=1)
    return norms


def _at_least_single(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _in_question(x: Tensor, known: Tensor, norm: Tensor, mask: Tensor | None, k: int) -> Bool[Tensor, " I"]:
    """The known rows of which products in single precision leave open whether they are among the ``k`` nearest."""
    # The norms divide the products: a normalised copy of the features could be larger than memory.
    known = _at_least_single(known)
    sure = (norm > 1 / _LONGEST) & (norm < _LONGEST)
    if mask is not None:
        sure &= mask
    # Products of unit rows and either norm err by at most F roundings, and two cosines are compared.
    margin = 4 * known.size(1) * torch.finfo(known.dtype).eps + 8 * unit_roundoff(known.device)
    near = torch.zeros_like(sure)
    for rows in F.normalize(x.to(known), dim=1).split(max(1, _BLOCK_ENTRIES // len(known))):
        cosine = product_into(rows, known, norm.new_empty(len(rows), len(known)))
        cosine = cosine.div_(norm).masked_fill_(~sure, -torch.inf)
        near |= (cosine >= cosine.topk(k).values[:, -1:] - margin).any(dim=0)
    near |= ~sure
    return near if mask is None else near & mask
