"""The filter gate (Eq. 4): raw features decide how much of the ID embedding passes."""

import torch
from torch import nn

from drepm_pyg._checks import check_at_least, check_tensors
from drepm_pyg.nn.tall_product import tall_product
from drepm_pyg.typing import Float, Tensor

__all__ = ["FilterGate"]


class FilterGate(nn.Module):
    r"""The modality-specific filter gate of DRepMRec (Eq. 4).

    .. math:: \hat{\mathbf{E}}_m = \sigma(\mathbf{E}_m \mathbf{W} + \mathbf{b}) \odot \mathbf{E}_B

    Args:
        in_channels: width F of the raw features.
        out_channels: width D of the ID embeddings.

    Shapes:
        raw: float ``[*, F]`` (cast to the type of W), id_embedding: float ``[*, D]``; returns float ``[*, D]``

    Raises:
        TypeError: where an input is no tensor.
        ValueError: where a width is not that of the layer.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        check_at_least(1, in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw W (Xavier uniform), set b to zero."""
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def project(self, raw: Float[Tensor, "*N F"]) -> Float[Tensor, "*N D"]:
        """Apply W alone: linear, so the users' mean over items is taken D wide instead of F."""
        check_tensors(raw=raw)
        if raw.ndim == 0 or raw.size(-1) != self.in_channels:
            raise ValueError(f"'raw' must have {self.in_channels} columns (got {list(raw.shape)}).")
        return tall_product(raw.to(self.weight.dtype), self.weight)

    def gate(self, projected: Float[Tensor, "*N D"], id_embedding: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Let through what behaviour asks for."""
        check_tensors(projected=projected, id_embedding=id_embedding)
        if id_embedding.ndim == 0 or id_embedding.size(-1) != self.out_channels:
            raise ValueError(f"'id_embedding' must have {self.out_channels} columns (got {list(id_embedding.shape)}).")
        if projected.shape != id_embedding.shape:
            raise ValueError(
                f"'id_embedding' must have a row per row of the features (got {list(id_embedding.shape)} for "
                f"{list(projected.shape)})."
            )
        return (projected + self.bias).sigmoid() * id_embedding

    def forward(self, raw: Float[Tensor, "*N F"], id_embedding: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        return self.gate(self.project(raw), id_embedding)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"
