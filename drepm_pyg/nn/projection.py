"""Maps from raw feature width to embedding width: over the concatenation, or one per modality."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from drepm_pyg._checks import check_at_least
from drepm_pyg.nn.absent import finite_where_absent
from drepm_pyg.nn.modality_dict import ModalityDict, check_features, check_in_channels, check_masks
from drepm_pyg.nn.tall_product import tall_product
from drepm_pyg.typing import Bool, Float, Tensor

__all__ = ["ConcatProjection", "FeatureMLP", "ModalityProjection"]


def _zero_absent(projected: Tensor, mask: Tensor | None) -> Tensor:
    return projected if mask is None else projected.masked_fill(~mask.unsqueeze(1), 0)


class ConcatProjection(nn.Module):
    r"""One linear map of the concatenated modalities, without concatenating them.

    .. math:: y = [x_1 \,\|\, \dots \,\|\, x_M] W + b = \sum_m x_m W_m + b

    Args:
        in_channels: width F of each modality.
        out_channels: width D of the output.

    Shapes:
        features: mapping of modality to float ``[N, F]``; masks: mapping of modality to bool ``[N]``, True = present
        (an absent modality counts as a zero row); returns float ``[N, D]``

    Raises:
        TypeError: where ``features`` or ``masks`` do not map modalities to tensors.
        ValueError: where a modality is missing, or shapes do not fit.
    """

    def __init__(self, in_channels: Mapping[str, int], out_channels: int) -> None:
        super().__init__()
        check_in_channels(in_channels)
        check_at_least(1, out_channels=out_channels)
        self.in_channels, self.out_channels = dict(in_channels), out_channels
        self.linear = nn.Linear(sum(in_channels.values()), out_channels)

    def reset_parameters(self) -> None:
        """Draw W and b anew, with the fan-in of the concatenation."""
        self.linear.reset_parameters()

    def forward(
        self, features: Mapping[str, Float[Tensor, "N _"]], masks: Mapping[str, Bool[Tensor, " N"]] | None = None
    ) -> Float[Tensor, "N D"]:
        masks = {} if masks is None else masks
        check_features(self.in_channels, features)
        check_masks(self.in_channels, masks, features)
        blocks = self.linear.weight.split(list(self.in_channels.values()), dim=1)
        parts = [
            _zero_absent(
                tall_product(finite_where_absent(features[name], masks.get(name)).to(block.dtype), block.T),
                masks.get(name),
            )
            for name, block in zip(self.in_channels, blocks, strict=True)
        ]
        return torch.stack(parts).sum(dim=0) + self.linear.bias

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


class ModalityProjection(nn.Module):
    r"""One linear map per modality.

    .. math:: y_m = x_m W_m + b_m

    Args:
        in_channels: width F of each modality.
        out_channels: width D of every output.

    Shapes:
        features: mapping of modality to float ``[N, F]``; masks: mapping of modality to bool ``[N]``, True = present
        (an absent modality gives a zero row); returns a mapping of modality to float ``[N, D]``

    Raises:
        TypeError: as :class:`ConcatProjection`.
        ValueError: as :class:`ConcatProjection`.
    """

    def __init__(self, in_channels: Mapping[str, int], out_channels: int) -> None:
        super().__init__()
        check_in_channels(in_channels)
        check_at_least(1, out_channels=out_channels)
        self.in_channels, self.out_channels = dict(in_channels), out_channels
        self.linears = ModalityDict({name: nn.Linear(width, out_channels) for name, width in in_channels.items()})
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every W (Xavier uniform), set every b to zero."""
        for linear in self.linears.values():
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, features: Mapping[str, Float[Tensor, "N _"]], masks: Mapping[str, Bool[Tensor, " N"]] | None = None
    ) -> dict[str, Float[Tensor, "N D"]]:
        masks = {} if masks is None else masks
        check_features(self.in_channels, features)
        check_masks(self.in_channels, masks, features)
        projected = {}
        for name, linear in self.linears.items():
            mask = masks.get(name)
            x = finite_where_absent(features[name], mask)
            projected[name] = _zero_absent(linear(x.to(linear.weight.dtype)), mask)
        return projected

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


class FeatureMLP(nn.Module):
    r"""One two-layer perceptron per modality.

    .. math:: y_m = \mathrm{LeakyReLU}(x_m W_m + b_m) \, W'_m + b'_m

    Args:
        in_channels: width F of each modality.
        out_channels: width D of every output; the hidden layer is 4 D wide.

    Shapes:
        as :class:`ModalityProjection`
    """

    def __init__(self, in_channels: Mapping[str, int], out_channels: int) -> None:
        super().__init__()
        self.hidden = ModalityProjection(in_channels, 4 * out_channels)
        self.out = ModalityProjection(dict.fromkeys(in_channels, 4 * out_channels), out_channels)

    def reset_parameters(self) -> None:
        """Draw both layers of every modality anew."""
        self.hidden.reset_parameters()
        self.out.reset_parameters()

    def forward(
        self, features: Mapping[str, Float[Tensor, "N _"]], masks: Mapping[str, Bool[Tensor, " N"]] | None = None
    ) -> dict[str, Float[Tensor, "N D"]]:
        hidden = {name: F.leaky_relu(x) for name, x in self.hidden(features, masks).items()}
        return self.out(hidden, masks)
