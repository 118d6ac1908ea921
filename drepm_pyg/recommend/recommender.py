"""The recommender: a trained model's tables, frozen, and the questions one asks of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_flag, check_id_types, check_ids
from drepm_pyg.evaluation import TopK
from drepm_pyg.evaluation.ranking import Exclusion, best_of, check_k
from drepm_pyg.evaluation.scoring import Products, Score, scoring
from drepm_pyg.recommend.catalog import Catalog, Tables
from drepm_pyg.recommend.cold_start import modal_representations
from drepm_pyg.recommend.storage import read_recommender, write_recommender
from drepm_pyg.typing import Bool, Float, Int, PathLike, Tensor

__all__ = ["Recommender"]

History = Int[Tensor, " H"] | Sequence[int] | NDArray[np.integer[Any]]
Ids = Int[Tensor, " B"] | Sequence[int] | NDArray[np.integer[Any]] | int


class Recommender:
    r"""Top-k recommendations from a trained model.

    What a model ranks by is what :func:`~drepm_pyg.evaluation.evaluate` ranks by. A model with tables is asked for them
    once; later changes of the model or the data do not reach the recommender, but for the items' features, which may be
    too large to copy: write into them, and :meth:`add_items` compares with what you wrote (by torch: what NumPy writes
    into the same memory goes unnoticed). A model with ``score()`` alone (:class:`~drepm_pyg.models.ItemKNN`) is asked
    at every call, and answers :meth:`recommend` only.

    Every answer is a :class:`~drepm_pyg.evaluation.TopK` of scores and item ids, best first: ``[B, k]`` for B ids,
    ``[k]`` for a single one. A row with fewer than k candidates ends in -inf and -1.

    Args:
        model: a model, or anything with ``user`` and ``item`` tables.
        data: the schema's HeteroData: training pairs are what users have seen, features serve :meth:`add_items`.

    Example:
        >>> from drepm_pyg.data import SyntheticMultimodal
        >>> from drepm_pyg.models import MostPopular
        >>> data = SyntheticMultimodal(num_users=20, num_items=10, seed=0)[0]
        >>> recommender = Recommender(MostPopular.from_data(data), data)
        >>> recommender.recommend([0, 1], k=3).ids.shape
        torch.Size([2, 3])
    """

    @torch.no_grad()
    def __init__(self, model: Any, data: HeteroData) -> None:
        self._catalog = Catalog.of(data)
        self._tables: Tables | None = None
        with scoring(model, data, name="model") as (score, _):
            if isinstance(score, Products):
                self._tables = Tables(score.user.clone(), score.item.clone())
        # Kept only where they are asked again.
        self._model: Any = None if self._tables else model
        self._data: Any = None if self._tables else data

    @property
    def num_users(self) -> int:
        """Users with rows of their own."""
        return self._catalog.num_users

    @property
    def num_items(self) -> int:
        """Items, those of :meth:`add_items` included."""
        return self._catalog.num_items

    @property
    def titles(self) -> list[str] | None:
        """The items' names by id, where the data has them."""
        return self._catalog.titles

    @property
    def item_ids(self) -> list[str] | None:
        """The items' original ids, where the data has them."""
        return self._catalog.item_ids

    @property
    def user_ids(self) -> list[str] | None:
        """The users' original ids, where the data has them."""
        return self._catalog.user_ids

    def user_numbers(self, original_ids: Sequence[str]) -> Int[Tensor, " B"]:
        """The numbers of users, which every question takes, from their original ids.

        Raises:
            TypeError: where one text is given in place of a list.
            ValueError: where the data have no such ids (:attr:`user_ids`).
        """
        return self._catalog.numbers("user_ids", original_ids)

    def item_numbers(self, original_ids: Sequence[str]) -> Int[Tensor, " B"]:
        """The numbers of items, added ones included, from their original ids.

        Raises:
            TypeError: where one text is given in place of a list.
            ValueError: where the data have no such ids (:attr:`item_ids`).
        """
        return self._catalog.numbers("item_ids", original_ids)

    def history(self, user_id: int) -> Int[Tensor, " H"]:
        """The training items of a user, ascending."""
        user, item = self._catalog.seen
        asked, single = _ids(user_id, "user_id", self.num_users, "users", user.device)
        if not single:
            raise ValueError(f"'user_id' must be one id (got {user_id!r}).")
        items: Tensor = item[user == asked].sort().values
        return items

    @torch.no_grad()
    def recommend(self, user_ids: Ids, k: int, exclude_seen: bool = True) -> TopK:
        r"""The ``k`` items of largest :math:`\hat{y}_{ui}` for known users (Eq. 16).

        Args:
            user_ids: users of the training data.
            k: items per user.
            exclude_seen: leave a user's training items out.

        Raises:
            ValueError: where an id is out of range or ``k`` larger than the number of items.
        """
        users, single = _ids(user_ids, "user_ids", self.num_users, "users", self._device)
        check_k(k, self.num_items)
        check_flag(exclude_seen=exclude_seen)
        with self._scoring() as score:
            best = best_of(score, users, self.num_items, k, self._seen if exclude_seen else None)
        return _row(best) if single else best

    def recommend_for_history(self, item_ids: History, k: int) -> TopK:
        r"""The ``k`` best items for a user the model has not seen, from what the user has (fold-in).

        The user's row is the mean of the rows of the items, which is what one propagation from items to a user without
        an own embedding gives, up to the users' scale:

        .. math:: e_{new} = \frac{1}{|\mathcal{H}|} \sum_{i \in \mathcal{H}} e_i, \qquad
            \hat{y}_i = e_{new}^\top e_i, \quad i \notin \mathcal{H}

        Args:
            item_ids: the user's items :math:`\mathcal{H}`; an item counts once. Added items may be among them.
            k: how many items to recommend, none of ``item_ids`` among them.

        Returns:
            scores and ids, ``[k]`` each.

        Raises:
            TypeError: where the model has no tables.
            ValueError: where ``item_ids`` is empty or out of range.
        """
        item = self._need_tables("recommend_for_history").item
        history, single = _ids(item_ids, "item_ids", self.num_items, "items", item.device)
        if single or not len(history):
            raise ValueError(
                f"'item_ids' must be a list of at least one item (got {item_ids!r}). Who has none is best "
                "served by drepm_pyg.models.MostPopular."
            )
        check_k(k, self.num_items)
        history = history.unique()
        exclude = Exclusion(torch.stack([torch.zeros_like(history), history]), 1)
        score = Products(item[history].mean(dim=0, keepdim=True), item)
        return _row(best_of(score, history.new_zeros(1), self.num_items, k, exclude))

    def similar_items(self, item_ids: Ids, k: int) -> TopK:
        r"""The ``k`` items whose rows have the largest cosine with an item's row; the item itself is none of them.

        .. math:: s_{ij} = \frac{e_i^\top e_j}{\lVert e_i \rVert \lVert e_j \rVert}

        Args:
            item_ids: any items, added ones included.
            k: neighbours per item.

        Raises:
            TypeError: where the model has no tables.
            ValueError: where an id is out of range or ``k`` larger than the number of items.
        """
        unit = self._need_tables("similar_items").unit_item
        ids, single = _ids(item_ids, "item_ids", self.num_items, "items", unit.device)
        check_k(k, self.num_items)
        rows = torch.arange(len(ids), device=ids.device)
        itself = Exclusion(torch.stack([rows, ids]), len(ids))
        best = best_of(Products(unit[ids], unit), rows, self.num_items, k, itself)
        return _row(best) if single else best

    def add_items(
        self,
        features: Mapping[str, Float[Tensor, "B F"]],
        *,
        k: int | None = None,
        weights: Mapping[str, float] | None = None,
        masks: Mapping[str, Bool[Tensor, " B"]] | None = None,
        titles: Sequence[str] | None = None,
        item_ids: Sequence[str] | None = None,
    ) -> Int[Tensor, " B"]:
        r"""Make new items known by their features (cold start); nothing is trained.

        A new item's row is the mean of the rows of its modal neighbours, weighted over the modalities:
        :func:`~drepm_pyg.recommend.cold_start.modal_representations` has the equation.

        Args:
            features: raw features by modality, made as those of the training data; one or more of its modalities.
            k: modal neighbours per item; None: 10, or all where fewer items have the modality.
            weights: weight of each modality; None: equal.
            masks: by modality, which new items have it (True: present).
            titles: names of the new items.
            item_ids: original ids of the new items, none of which another item has; "" for none.

        Returns:
            the new items' ids, ascending from the present :attr:`num_items`.

        Raises:
            TypeError: where the model has no tables.
            ValueError: where the features do not fit those of the training data, the names do not fit the items, or an
                original id is taken. Nothing is added then.
        """
        tables = self._need_tables("add_items")
        known = tables.item[: self._catalog.num_trained]
        rows = modal_representations(features, self._catalog, known, k=k, weights=weights, masks=masks)
        extended = tables.with_items(rows)
        ids = self._catalog.add(len(rows), titles, item_ids)
        self._tables = extended
        return ids

    def save(self, path: PathLike) -> None:
        """Write a directory with ``recommender.json`` and ``tensors.safetensors``: no pickle, nothing to execute.

        Raises:
            TypeError: where the model has no tables.
        """
        write_recommender(path, self._need_tables("save"), self._catalog)

    @classmethod
    def load(cls, path: PathLike) -> "Recommender":
        """Read what :meth:`save` wrote. No code is run from the files, and the model's class is not needed.

        Raises:
            FileNotFoundError: where there is no such directory.
            CorruptFileError: where a file is missing, truncated, changed, or belongs to another save.
        """
        recommender = cls.__new__(cls)
        recommender._tables, recommender._catalog = read_recommender(path)
        recommender._model = recommender._data = None
        return recommender

    def __repr__(self) -> str:
        source = type(self._model).__name__ if self._tables is None else f"tables of width {self._tables.item.size(1)}"
        return f"{type(self).__name__}({source}, {self.num_users} users, {self.num_items} items)"

    @contextmanager
    def _scoring(self) -> Iterator[Score]:
        if self._tables is not None:
            yield Products(self._tables.user, self._tables.item)
        else:
            with scoring(self._model, self._data, name="model") as (score, _):
                yield score

    @property
    def _device(self) -> torch.device:
        return self._catalog.seen.device if self._tables is None else self._tables.user.device

    @cached_property
    def _seen(self) -> Exclusion:
        """What every user has seen: sorting all pairs takes much longer than an answer, and no call changes them."""
        return Exclusion(self._catalog.seen.to(self._device), self.num_users)

    def _need_tables(self, purpose: str) -> Tables:
        if self._tables is None:
            raise TypeError(
                f"'{purpose}' needs a model with user and item tables ({type(self._model).__name__} has score() "
                "alone). recommend() works with it."
            )
        return self._tables


def _ids(values: Ids, name: str, size: int, what: str, device: torch.device) -> tuple[Int[Tensor, " B"], bool]:
    """A long vector, and whether a single id was given."""
    if isinstance(values, np.ndarray) and np.issubdtype(values.dtype, np.integer):
        values = values.astype(np.int64)  # torch takes no view backwards, and no bytes in another order
    try:
        ids = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:  # torch raises all of them
        if "verflow" in str(error):
            raise ValueError(f"'{name}' must hold ids in [0, {size}) for {size:,} {what} (got larger ones).") from error
        raise TypeError(f"'{name}' must hold integer ids (got {values!r}).") from error
    ids = ids.to(device)
    if ids.ndim > 1:
        raise ValueError(f"'{name}' must be one id or a list of ids (got the shape {list(ids.shape)}).")
    if ids.numel():
        check_id_types(**{name: ids})
    ids = ids.long()  # before they are compared, as torch compares no unsigned ones
    check_ids(size, what=what, **{name: ids})
    return ids.reshape(-1), ids.ndim == 0


def _row(best: TopK) -> TopK:
    return TopK(best.scores[0], best.ids[0])
