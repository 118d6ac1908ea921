"""Features from a knowledge graph: TF-IDF of an item's neighbours, reduced by a truncated SVD."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from drepm_pyg._checks import check_at_least
from drepm_pyg.typing import Bool, Float, Tensor

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

__all__ = ["knowledge_features"]

#: The row of an item, and the relation, whether it leads outward, and the neighbour.
_Fact = tuple[int, tuple[str, bool, str]]

_ABSENT = 1e-6  # a row was of length 1 before the projection: what is shorter after it is rounding


def knowledge_features(
    kg: "pd.DataFrame", link: "pd.DataFrame", item_id: Sequence[str], *, width: int = 256
) -> tuple[Float[Tensor, "I F"], Bool[Tensor, " I"]]:
    r"""Describe every item by its facts in a knowledge graph.

    A fact of an item is (relation, direction, neighbour): the item is the head of ``film.directed_by`` with this tail,
    or the tail of some head. An item's row holds :math:`1 + \ln(n / \mathrm{df})` for each of its facts, where n items
    have any facts and df have this one, scaled to unit length; rows are projected on the leading right singular vectors
    (by way of the items' Gram matrix, hence without a random start) and scaled to unit length again. The sign of each
    coordinate makes its largest entry positive.

    Args:
        kg: triples with the columns ``head_id``, ``relation_id``, ``tail_id``.
        link: ``item_id`` and the ``entity_id`` it is in the graph.
        item_id: the items, in the order of the rows that are wanted.
        width: the number of coordinates; as many as there are items with facts where these are fewer (and ``width``
            zeros an item where no item has any).

    Returns:
        float32 ``[I, F]`` and the mask: False, with a row of zeros, for an item without a link or without facts, and
        for one of whose facts the leading directions show nothing (it shares none of them with another item, say).
    """
    check_at_least(1, width=width)
    row_of = {item: row for row, item in enumerate(item_id)}
    rows_of: defaultdict[str, list[int]] = defaultdict(list)  # two entries of one film share their entity
    for item, entity in zip(link["item_id"], link["entity_id"], strict=True):
        if item in row_of:
            rows_of[entity].append(row_of[item])
    facts = _facts(kg, rows_of)
    mask = np.zeros(len(item_id), dtype=bool)
    if not facts:
        return torch.zeros(len(item_id), width), torch.from_numpy(mask)
    mask[[row for row, _ in facts]] = True
    projected = _projected(_tf_idf(facts, len(item_id))[mask], width)
    norms = np.linalg.norm(projected, axis=1)
    shown = norms > _ABSENT
    mask[mask] = shown
    features = np.zeros((len(item_id), projected.shape[1]), dtype=np.float32)
    features[mask] = projected[shown] / norms[shown, None]
    return torch.from_numpy(features), torch.from_numpy(mask)


def _facts(kg: "pd.DataFrame", rows_of: Mapping[str, Sequence[int]]) -> set[_Fact]:
    """The facts of every item, each once: the edges of its entity, outward and inward."""
    return {
        (row, (relation, outward, neighbor))
        for own, other, outward in (("head_id", "tail_id", True), ("tail_id", "head_id", False))
        for entity, relation, neighbor in zip(kg[own], kg["relation_id"], kg[other], strict=True)
        for row in rows_of.get(entity, ())
    }


def _tf_idf(facts: set[_Fact], num_items: int) -> "csr_array":
    """A row per item, of unit length where it has facts; the rarer a fact, the more it weighs."""
    from scipy.sparse import csr_array, diags_array

    column_of = {fact: column for column, fact in enumerate(sorted({fact for _, fact in facts}))}
    rows, columns = np.array(sorted((row, column_of[fact]) for row, fact in facts)).T
    idf = 1 + np.log(len(np.unique(rows)) / np.bincount(columns))
    counts = csr_array((idf[columns], (rows, columns)), shape=(num_items, len(column_of)))
    lengths = np.sqrt(counts.multiply(counts).sum(axis=1))
    return csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ counts)


def _projected(tf_idf: "csr_array", width: int) -> "NDArray[np.float64]":
    """The rows on their leading right singular vectors, the strongest direction first, with signs made unique."""
    from scipy.linalg import eigh

    last = tf_idf.shape[0] - 1
    energy, vectors = eigh((tf_idf @ tf_idf.T).toarray(), subset_by_index=(max(0, last + 1 - width), last))
    projected: NDArray[np.float64] = (vectors * np.sqrt(energy.clip(min=0)))[:, ::-1]  # U S
    largest = np.abs(projected).argmax(axis=0)
    projected *= np.where(projected[largest, np.arange(projected.shape[1])] < 0, -1, 1)
    return projected
