"""Whether the behaviour and the modal loss pull the shared embeddings in different directions (Figure 1a)."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation.evaluation_mode import evaluation_mode
from drepm_pyg.models import RecommenderModel, Representations, Triples
from drepm_pyg.models.base import triple_scores
from drepm_pyg.nn.losses import BPRLoss
from drepm_pyg.typing import Float, Tensor

__all__ = ["Conflict", "gradient_conflict"]


@dataclass(frozen=True)
class Conflict:
    """The directions of two gradients on the embeddings of one type of node.

    Attributes:
        overall: cosine between the gradients of the whole tables; NaN where they have no entry in common.
        rows: cosine of every node that both gradients reach.
        shared: share of the entries, among those that either gradient reaches, that both reach; 0: the lines share none
            of these embeddings, and there is nothing to be in conflict about.
    """

    overall: float
    rows: Float[Tensor, " n"]
    shared: float


def gradient_conflict(model: RecommenderModel, data: HeteroData, batch: Triples) -> dict[str, Conflict]:
    r"""Compare :math:`\nabla_E \mathrm{BPR}(\bar{E}_B)` with :math:`\nabla_E \mathrm{BPR}(\bar{E}_M)`.

    E are the tables with a row per user and with a row per item: the ID embeddings. The model is in evaluation mode
    meanwhile, so that dropout does not blur the directions; its gradients and the random numbers are left alone.

    Args:
        model: a model with a behaviour and a modal line.
        data: the schema's HeteroData.
        batch: the triples of both losses.

    Returns:
        :class:`Conflict` by ``"user"`` and ``"item"``.

    Raises:
        ValueError: where the model lacks one of the lines, or has no embedding tables, or does not say which are the
            users'.
    """
    with evaluation_mode(model), torch.enable_grad():
        tables = model(data) if model.factorized else None
        if not isinstance(tables, Representations) or tables.behavior is None or tables.modal is None:
            raise ValueError(
                f"Gradients can be compared where a model has a behaviour and a modal line "
                f"({type(model).__name__} lacks one of them)."
            )
        nodes = _tables(model)
        every = [parameter for parameters in nodes.values() for parameter in parameters]
        if not every:
            raise ValueError(
                f"Gradients can be compared where a model has embeddings ({type(model).__name__} has none)."
            )
        losses = [_bpr(line, batch) for line in (tables.behavior, tables.modal)]
        gradients = [
            dict(zip(every, torch.autograd.grad(loss, every, retain_graph=True, allow_unused=True), strict=True))
            for loss in losses
        ]
    return {
        node: _compare(*(torch.cat([_or_zero(found[p], p) for p in parameters], dim=1) for found in gradients))
        for node, parameters in nodes.items()
        if parameters
    }


def _tables(model: RecommenderModel) -> dict[str, list[Tensor]]:
    """What is trained with a row per user or per item: embeddings, and parameters of the model itself.

    Parts may have weights of as many rows: a gate's has one per feature.
    """
    sizes = {"user": model.num_users, "item": model.num_items}
    found: dict[str, list[Tensor]] = {node: [] for node in sizes}
    for name, parameter in model.named_parameters():
        owner = model.get_submodule(name.rpartition(".")[0])
        is_table = parameter.ndim == 2 and (isinstance(owner, nn.Embedding) or owner is model)
        if not parameter.requires_grad or not is_table:
            continue
        nodes = [node for node, size in sizes.items() if parameter.size(0) == size]
        if len(nodes) == 2:  # as many users as items: the name tells
            nodes = [node for node in nodes if node in name]
            if len(nodes) != 1:
                raise ValueError(
                    f"'{name}' has a row per user or per item, of which there are {parameter.size(0):,} each: its name "
                    "must tell which, as 'user_embedding' does."
                )
        for node in nodes:
            found[node].append(parameter)
    return found


def _bpr(line: Representations, batch: Triples) -> Tensor:
    loss: Tensor = BPRLoss()(*triple_scores(*batch.rows(line.user, line.item)))
    return loss


def _or_zero(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient


def _compare(behavior: Float[Tensor, "N D"], modal: Float[Tensor, "N D"]) -> Conflict:
    behavior, modal = behavior.double(), modal.double()
    either, both = (behavior != 0) | (modal != 0), (behavior != 0) & (modal != 0)
    shared = float(both.sum()) / max(1, int(either.sum()))
    reached = both.any(dim=1)
    # A gradient of 1e-30 has a direction, too: no epsilon as in F.cosine_similarity.
    rows = (F.normalize(behavior[reached], eps=0) * F.normalize(modal[reached], eps=0)).sum(dim=1)
    lengths = behavior.norm() * modal.norm()
    overall = float((behavior * modal).sum() / lengths) if shared > 0 else float("nan")
    return Conflict(overall, rows.clamp(-1, 1), shared)
