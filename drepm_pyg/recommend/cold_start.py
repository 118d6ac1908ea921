"""Representations of items that nobody has touched yet, from the items that look, read or sound like them."""

from collections.abc import Mapping

import torch

from drepm_pyg._checks import check_at_least, check_choice, check_finite, check_non_negative, check_tensors
from drepm_pyg.evaluation.ranking import rank_blocks
from drepm_pyg.recommend.catalog import Catalog
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["modal_representations"]


def modal_representations(
    features: Mapping[str, Float[Tensor, "B F"]],
    catalog: Catalog,
    item: Float[Tensor, "I D"],
    *,
    k: int = 10,
    weights: Mapping[str, float] | None = None,
    masks: Mapping[str, Bool[Tensor, " B"]] | None = None,
) -> Float[Tensor, "B D"]:
    r"""Rows for new items: one row of the similarity graphs' convolution (DRepMRec, Eq. 5-7), over the known items.

    .. math::
        e_j = \sum_m \frac{\alpha_m r_{jm}}{\sum_{m'} \alpha_{m'} r_{jm'}} \;
            \frac{1}{k} \sum_{i \in \mathcal{N}_m(j)} e_i

    with :math:`\mathcal{N}_m(j)` the ``k`` items whose features of modality m have the largest cosine with those of the
    new item, and :math:`r_{jm} = 1` where it has the modality. The neighbours are items the model was trained with, so
    that the order in which items are added does not matter. Where its neighbours disagree, a new item's row is short
    and it stays behind the items that are known to be liked.

    Args:
        features: the new items' raw features by modality: one or more of the catalog's.
        catalog: the known items' features.
        item: the known items' rows.
        k: neighbours in each modality.
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
    for name in (*weights, *masks):
        check_choice(list(features), **{"weights' and 'masks": name})
    check_non_negative(**{f"weights[{name!r}]": weight for name, weight in weights.items()})
    total, share = item.new_zeros(num_new, item.size(1)), item.new_zeros(num_new, 1)
    for name, x in features.items():
        present = masks.get(name, torch.ones(num_new, dtype=torch.bool))
        check_finite(**{f"features[{name!r}]": x[present]})
        weight = weights.get(name, 0.0) * present.to(item).unsqueeze(1)
        neighbors = _nearest(x.nan_to_num(), catalog.features[name], catalog.masks.get(name), k, name)
        total += weight * item[neighbors.to(item.device)].mean(dim=1)
        share += weight
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
    if mask.dtype != torch.bool or mask.shape != (num_new,):
        raise ValueError(f"'masks[{name!r}]' must be bool [{num_new}] (got {mask.dtype}, {list(mask.shape)}).")
    return mask


def _nearest(x: Tensor, known: Tensor, mask: Tensor | None, k: int, name: str) -> Int[Tensor, "B K"]:
    """The ``k`` known rows with the largest cosine."""
    check_at_least(1, k=k)
    there = len(known) if mask is None else int(mask.sum())
    if k > there:
        raise ValueError(f"'k' must be at most the number of items with '{name}' (got k={k} for {there}). Lower 'k'.")
    # The norms divide the products: a normalised copy of the features could be larger than memory.
    known = known if known.dtype in (torch.float32, torch.float64) else known.float()
    x = x.to(known)
    norm = torch.linalg.vector_norm(known, dim=1)
    norm = torch.where(norm > 0, norm, 1)

    def cosine(rows: Tensor) -> Tensor:
        scores = x[rows] @ known.T / norm
        return scores if mask is None else scores.masked_fill(~mask, -torch.inf)

    rows = torch.arange(len(x), device=known.device)
    blocks = [best.ids for _, best in rank_blocks(cosine, rows, len(known), k, None)]
    return torch.cat(blocks) if blocks else rows.new_empty(0, k)
