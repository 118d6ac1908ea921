"""BPR: matrix factorisation, the plainest of the baselines."""

from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.models.base import LossOutput, RecommenderModel, Representations, Triples, names_ids
from drepm_pyg.models.objective import PairwiseObjective

__all__ = ["BPR"]


class BPR(RecommenderModel):
    r"""Matrix factorisation under the BPR objective.

    "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009, https://arxiv.org/abs/1205.2618

    .. math::
        \hat{y}_{ui} = e^u \cdot e^i, \qquad
        \mathcal{L} = -\sum_{(u, i, i')} \ln \sigma(\hat{y}_{ui} - \hat{y}_{ui'}) + \lambda \|\Theta\|^2

    Deviations from the paper: no item bias, Xavier-normal tables, batches with Adam instead of single triples with SGD,
    and the penalty is the ``"norm"`` form on the batch's rows with weight 0.1: the published numbers are made so.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        embedding_dim: width D of the tables.
        reg: weight :math:`\lambda` of the L2 penalty on the batch's rows.
        l2_form: form of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        BPR | 2009 | UAI | ids | matrix factorisation
    """

    def __init__(
        self, num_users: int, num_items: int, embedding_dim: int = 64, *, reg: float = 0.1, l2_form: str = "norm"
    ) -> None:
        super().__init__(num_users, num_items)
        check_at_least(1, embedding_dim=embedding_dim)
        self.user_embedding = nn.Embedding(num_users, embedding_dim)
        self.item_embedding = nn.Embedding(num_items, embedding_dim)
        self.objective = PairwiseObjective(reg, l2_form=l2_form)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables (Xavier normal)."""
        nn.init.xavier_normal_(self.user_embedding.weight)
        nn.init.xavier_normal_(self.item_embedding.weight)

    def forward(self, data: HeteroData) -> Representations:
        return Representations(self.user_embedding.weight, self.item_embedding.weight)

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        tables = self(data)
        return LossOutput.from_parts(**self.objective(tables, batch, regularized=tables))
