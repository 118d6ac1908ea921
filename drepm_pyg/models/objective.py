"""The objective that the ranking models share: BPR on triples, L2 on the embedding rows that the triples name."""

from collections.abc import Sequence

from torch import nn

from drepm_pyg._checks import check_choice, check_non_negative
from drepm_pyg.models.base import Representations, Triples, triple_scores
from drepm_pyg.nn.functional import L2_FORMS, embedding_l2
from drepm_pyg.nn.losses import BPRLoss
from drepm_pyg.typing import Tensor

__all__ = ["PairwiseObjective"]


class PairwiseObjective(nn.Module):
    r"""BPR on a batch of triples (DRepMRec, Eq. 14) plus L2 on the embedding rows that the batch names.

    .. math::
        \frac{1}{B} \sum_{(u, i, i') \in \mathcal{B}} -\log \sigma(e^u \cdot e^i - e^u \cdot e^{i'})
        + \lambda \, \Omega(E_u, E_i, E_{i'})

    Args:
        reg: the weight :math:`\lambda`; with 0 the penalty is not computed.
        l2_form: the form of :math:`\Omega`, see :func:`drepm_pyg.nn.functional.embedding_l2`. A published weight only
            makes sense with the form that it was found with.
    """

    def __init__(self, reg: float, *, l2_form: str) -> None:
        super().__init__()
        check_non_negative(reg=reg)
        check_choice(L2_FORMS, l2_form=l2_form)
        self.reg, self.l2_form = reg, l2_form
        self.bpr = BPRLoss()

    def forward(self, tables: Representations, batch: Triples, *, regularized: Representations) -> dict[str, Tensor]:
        """The parts ``bpr`` and ``reg``: ``tables`` are ranked, the rows of ``regularized`` are kept small."""
        kept = batch.rows(regularized.user, regularized.item) if self.reg else ()
        return self.of_rows(batch.rows(tables.user, tables.item), kept)

    def of_rows(self, ranked: Sequence[Tensor], regularized: Sequence[Tensor]) -> dict[str, Tensor]:
        """The same parts from the triples' rows, float ``[B, D]`` each: users, positives, negatives."""
        bpr = self.bpr(*triple_scores(*ranked))
        if self.reg == 0:
            return {"bpr": bpr, "reg": bpr.new_zeros(())}
        return {"bpr": bpr, "reg": self.reg * embedding_l2(*regularized, form=self.l2_form)}

    def extra_repr(self) -> str:
        return f"{self.reg}, l2_form={self.l2_form!r}"
