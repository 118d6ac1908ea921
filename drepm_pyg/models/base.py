"""What every model takes and gives: triples in, representations and a loss with named parts out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import (
    check_at_least,
    check_id_vectors,
    check_ids,
    check_row_numbers,
    check_same_shape,
    check_tensors,
)
from drepm_pyg.data.schema import check_hetero_data
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["LossOutput", "RecommenderModel", "Representations", "Triples", "names_ids", "sizes_of", "triple_scores"]

Model = TypeVar("Model", bound="RecommenderModel")  # not Self: beartype knows it only in classes that it decorates


@dataclass(frozen=True)
class Triples:
    r"""A batch of BPR triples :math:`(u, i, i')`: ``i`` is a training item of ``u``, ``i'`` is none (Eq. 14).

    Shapes:
        user, positive, negative: long ``[B]``, B at least 1

    Raises:
        TypeError: where they are no tensors of integers.
        ValueError: where the three are no vectors of one length, or empty.
    """

    user: Int[Tensor, " B"]
    positive: Int[Tensor, " B"]
    negative: Int[Tensor, " B"]

    def __post_init__(self) -> None:
        check_row_numbers(user=self.user, positive=self.positive, negative=self.negative)
        if self.user.ndim != 1 or len(self.user) == 0:
            raise ValueError(f"'user' must be a vector of at least one id (got the shape {list(self.user.shape)}).")
        check_same_shape(user=self.user, positive=self.positive, negative=self.negative)

    def __len__(self) -> int:
        return self.user.numel()

    def to(self, device: torch.device | str) -> "Triples":
        """The same triples on ``device``."""
        return Triples(*(ids.to(device) for ids in self.tensors()))

    def tensors(self) -> Iterator[Tensor]:
        """``user``, ``positive``, ``negative``, in this order."""
        return iter((self.user, self.positive, self.negative))

    @property
    def items(self) -> Int[Tensor, " C"]:
        """The positives, then the negatives: looked up together, their gradient is one table, not the sum of two."""
        return torch.cat([self.positive, self.negative])

    def rows(self, user: Float[Tensor, "U D"], item: Float[Tensor, "I D"]) -> tuple[Tensor, Tensor, Tensor]:
        """The rows of two tables that the triples name: users, positives, negatives, each ``[B, D]``."""
        # index_select, not user[ids]: its backward is one index_add, an advanced index sorts first.
        return self.split(user.index_select(0, self.user), item.index_select(0, self.items))

    def split(self, user: Float[Tensor, "B D"], item: Float[Tensor, "C D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Rows that were looked up for :attr:`user` and :attr:`items`: users, positives, negatives, each ``[B, D]``."""
        positive, negative = item.split(len(self))
        return user, positive, negative


def triple_scores(
    user: Float[Tensor, "B D"], positive: Float[Tensor, "B D"], negative: Float[Tensor, "B D"]
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    r"""The scores :math:`e_u \cdot e_i` of the positives and of the negatives (Eq. 16), from the rows of triples."""
    return (user * positive).sum(-1), (user * negative).sum(-1)


@dataclass(frozen=True)
class Representations:
    r"""The tables that rank the items, and the two lines they came from where the model has them.

    Shapes:
        user, behavior_user, modal_user: float ``[U, D]``; item, behavior_item, modal_item: float ``[I, D]``
    """

    user: Float[Tensor, "U D"]
    item: Float[Tensor, "I D"]
    behavior_user: Float[Tensor, "U Db"] | None = None
    behavior_item: Float[Tensor, "I Db"] | None = None
    modal_user: Float[Tensor, "U Dm"] | None = None
    modal_item: Float[Tensor, "I Dm"] | None = None

    @property
    def behavior(self) -> "Representations | None":
        """The behaviour line alone, as tables that can be ranked; None where the model has no such line."""
        if self.behavior_user is None or self.behavior_item is None:
            return None
        return Representations(self.behavior_user, self.behavior_item)

    @property
    def modal(self) -> "Representations | None":
        """The modal line alone, as tables that can be ranked; None where the model has no such line."""
        if self.modal_user is None or self.modal_item is None:
            return None
        return Representations(self.modal_user, self.modal_item)

    def lines(self) -> "dict[str, Representations]":
        """What can be ranked, by name: ``"general"``, then ``"behavior"`` and ``"modal"`` where the model has them."""
        lines = {"general": self, "behavior": self.behavior, "modal": self.modal}
        return {name: line for name, line in lines.items() if line is not None}


@dataclass(frozen=True)
class LossOutput:
    """The scalar to differentiate, and its named parts for the logger: each times its weight."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]

    @classmethod
    def from_parts(cls, **parts: Tensor) -> "LossOutput":
        """The total is the sum of the parts.

        Raises:
            TypeError: where a part is no tensor.
            ValueError: where there is no part, or one of them is no scalar.
        """
        if not parts:
            raise ValueError("'parts' must name at least one part of the loss (got none). Pass from_parts(bpr=...).")
        check_tensors(**parts)
        for name, part in parts.items():
            if part.ndim:
                raise ValueError(
                    f"'{name}' must be a scalar (got the shape {list(part.shape)}). Reduce it: {name}.mean()."
                )
        return cls(total=sum(parts.values(), start=torch.zeros_like(next(iter(parts.values())))), parts=parts)


def names_ids(
    loss: Callable[[Model, HeteroData, Triples], LossOutput],
) -> Callable[[Model, HeteroData, Triples], LossOutput]:
    """The same loss; where torch finds an id of the batch out of range, the error says which.

    Looked for only then: a search of every batch would take time.

    Raises:
        TypeError: where the batch is no :class:`Triples`.
        ValueError: where an id is out of range; on a GPU torch's own error comes later.
    """

    @wraps(loss)
    def named(self: Model, data: HeteroData, batch: Triples) -> LossOutput:
        if not isinstance(batch, Triples):
            raise TypeError(
                f"'batch' must be Triples(user, positive, negative) (got a {type(batch).__name__}). Build them from "
                "three tensors of ids."
            )
        try:
            return loss(self, data, batch)
        except (IndexError, ValueError):  # a part of the model may have named the id, but not what it stands for
            check_ids(self.num_users, what="users", user=batch.user)
            check_ids(self.num_items, what="items", positive=batch.positive, negative=batch.negative)
            raise

    return named


def sizes_of(data: HeteroData) -> tuple[int, int]:
    """The numbers of users and of items.

    Raises:
        TypeError: where ``data`` is no HeteroData.
        ValueError: where one of them is not set: where only edges or features of some name are known, it is a guess.
    """
    check_hetero_data(data)
    sizes = []
    for node in ("user", "item"):
        known = node in data.node_types and data[node].can_infer_num_nodes
        count = data[node].num_nodes if known else None
        if count is None:
            raise ValueError(f"data['{node}'].num_nodes is not set. Set it to the number of {node}s.")
        sizes.append(int(count))
    return sizes[0], sizes[1]


class RecommenderModel(nn.Module):
    """A model of the library: sizes in the constructor, HeteroData in every call.

    A subclass implements :meth:`forward` and :meth:`loss`, or, where it has no tables to multiply, :meth:`score` and
    ``factorized = False``. It knows no trainer, no configuration object and no file, and keeps nothing but
    weights and what :meth:`before_epoch` draws.
    """

    #: True where ``score`` is the inner product of the tables of :meth:`forward`: evaluation then ranks by blocks.
    factorized: bool = True
    #: False for models without training (most-popular, ItemKNN): the trainer evaluates them once.
    trainable: bool = True
    #: The nodes whose similarity graphs the model reads, as ``nodes`` of AddSimilarityGraphs.
    graph_nodes: tuple[str, ...] = ()

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        check_at_least(1, num_users=num_users, num_items=num_items)
        self.num_users, self.num_items = num_users, num_items

    @classmethod
    def from_data(cls: type[Model], data: HeteroData, **hyper_parameters: Any) -> Model:
        """Build the model with the sizes of ``data``; everything else is an argument of the class.

        Raises:
            TypeError: where ``data`` is no HeteroData.
            ValueError: where its number of users or items is not set.
        """
        return cls(*sizes_of(data), **hyper_parameters)

    def forward(self, data: HeteroData) -> Representations:
        """The tables of all users and items."""
        raise TypeError(f"{type(self).__name__} has no tables; call score(data, user).")

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """The training loss of a batch of triples: the total, and its parts by their names in the paper."""
        raise TypeError(f"{type(self).__name__} is not trained; it has no loss.")

    def before_epoch(self, data: HeteroData, generator: torch.Generator) -> None:
        """Hook at the start of a training epoch, for models that redraw a graph; most models need none."""

    def score(
        self, data: HeteroData, user: Int[Tensor, " B"], item: Int[Tensor, " C"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Scores of ``user`` for the candidates ``item`` (default: all items), in their order (Eq. 16)."""
        self.check_asked(user, item)
        tables = self(data)
        items = tables.item if item is None else tables.item.index_select(0, item)
        return tables.user.index_select(0, user) @ items.T

    def check_asked(self, user: Int[Tensor, " B"], item: Int[Tensor, " C"] | None = None) -> None:
        """The ids of a call to :meth:`score`; on a GPU, which would have to wait for the answer, their types alone.

        Raises:
            TypeError: where they are no tensors of integers.
            ValueError: where they are no vectors, or an id is out of range.
        """
        for name, ids, count in (("user", user, self.num_users), ("item", item, self.num_items)):
            if ids is not None:
                check_id_vectors(**{name: ids})
                if ids.device.type == "cpu" and not torch.compiler.is_compiling():
                    check_ids(count, what=f"{name}s", **{name: ids})

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        for child in self.children():
            reset = getattr(child, "reset_parameters", None)
            if callable(reset):
                reset()
