"""Some rows of a frozen operator's product: a batch's losses touch no others."""

from functools import cached_property

from drepm_pyg.nn.csr import CsrMatrix
from drepm_pyg.nn.structure import SparseStructure
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["PickedRows"]


def _pays(picked: int, entries: int) -> bool:
    """Whether to copy and transpose ``picked`` entries rather than to multiply all, forward and backward (measured).

    An entry costs as much as the products of three; the calls, as those of 100,000.
    """
    return 3 * picked + 100_000 <= entries


class PickedRows:
    r"""The rows ``ids`` of an operator :math:`A`, repeated ones too: :math:`A_{ids} \, x` and its transpose.

    On a CPU, where they hold few of the entries, only these are touched; elsewhere the whole product is, as counting
    would make a GPU wait.

    Args:
        whole: :math:`A`, ``[R, C]``.
        ids: long ``[B]``.
    """

    def __init__(self, whole: SparseStructure, ids: Int[Tensor, " B"]) -> None:
        self.whole, self.ids = whole, ids
        self.rows = self._rows()

    def _rows(self) -> CsrMatrix | None:
        """The rows as a matrix, where they hold few of the entries."""
        if self.ids.device.type != "cpu":
            return None
        picked = int(self.whole.row_counts().index_select(0, self.ids).sum())
        return self.whole.forward.select(self.ids) if _pays(picked, len(self.whole.forward.index)) else None

    @cached_property
    def few(self) -> SparseStructure | None:
        """The same with its transpose."""
        return None if self.rows is None else SparseStructure(self.rows, self.rows.transposed())

    def matmul(self, x: Float[Tensor, "C D"]) -> Float[Tensor, "B D"]:
        r""":math:`A_{ids} \, x`; differentiable in ``x``."""
        return self.whole.matmul(x).index_select(0, self.ids) if self.few is None else self.few.matmul(x)

    def transposed_matmul(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "C D"]:
        r""":math:`A_{ids}^\top x`; differentiable in ``x``."""
        if self.few is not None:
            return self.few.T.matmul(x)
        return self.whole.T.matmul(x.new_zeros(self.whole.size[0], x.size(1)).index_add_(0, self.ids, x))
