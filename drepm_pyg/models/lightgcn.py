"""LightGCN: the behaviour line alone, trained by BPR."""

from torch_geometric.data import HeteroData

from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.base import LossOutput, RecommenderModel, Representations, Triples, names_ids
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.nn import BehaviorEncoder
from drepm_pyg.nn.behavior_encoder import Readout
from drepm_pyg.nn.overrides import has_rows, is_as_written

__all__ = ["LightGCN"]


class LightGCN(RecommenderModel):
    r"""Linear propagation of ID embeddings over the user-item graph, averaged over the layers.

    "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020,
    https://arxiv.org/abs/2002.02126

    .. math::
        E^{(l+1)} = D^{-1/2} A D^{-1/2} E^{(l)}, \qquad
        E = \frac{1}{L + 1} \sum_{l=0}^{L} E^{(l)}, \qquad
        \mathcal{L} = \frac{1}{B} \sum -\ln \sigma(\hat{y}_{ui} - \hat{y}_{ui'}) + \lambda \, \Omega(E^{(0)})

    Deviations from the paper: Xavier-uniform tables. The paper writes the penalty over all of :math:`E^{(0)}`; as in
    the authors' code it runs over the batch's rows (half the squared norm per triple, ``l2_form="half_squared"``).

    Args:
        num_users: number of users U.
        num_items: number of items I.
        embedding_dim: width D of the tables.
        num_layers: number L of propagations.
        readout: ``"mean"``, ``"sum"``, ``"last"``, or any callable on the list of layers.
        reg: weight :math:`\lambda` of the L2 penalty on the batch's rows of :math:`E^{(0)}`.
        l2_form: form :math:`\Omega` of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        LightGCN | 2020 | SIGIR | ids, user-item graph | Eq. 3, 4, 15
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 64,
        num_layers: int = 3,
        *,
        readout: str | Readout = "mean",
        reg: float = 1e-4,
        l2_form: str = "half_squared",
    ) -> None:
        super().__init__(num_users, num_items)
        self.encoder = BehaviorEncoder(num_users, num_items, embedding_dim, num_layers, readout=readout)
        self.objective = PairwiseObjective(reg, l2_form=l2_form)

    def forward(self, data: HeteroData) -> Representations:
        return Representations(*self.encoder(training_pairs(data)))

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        own = is_as_written(self, LightGCN) and is_as_written(self.objective, PairwiseObjective)
        if not own or not has_rows(self.encoder):
            first = Representations(self.encoder.user_embedding.weight, self.encoder.item_embedding.weight)
            return LossOutput.from_parts(**self.objective(self(data), batch, regularized=first))
        rows = self.encoder.at(training_pairs(data), batch.user, batch.items)
        ranked, ego = batch.split(rows.user, rows.item), batch.split(rows.ego_user, rows.ego_item)
        return LossOutput.from_parts(**self.objective.of_rows(ranked, ego))
