"""Products of rows, tile by tile: of float32 numbers, or of their 8-bit codes."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from drepm_pyg._arrays import large_empty, product_into
from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.codes import (
    CACHED_BYTES,
    CodedProducts,
    Codes,
    alike,
    code_errors,
)
from drepm_pyg.graph.products import block_columns, keeps_float32
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.shortlist import evenly
from drepm_pyg.graph.space import Slack, Space
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["TILE", "CodedTiles", "SingleProducts", "TileProducts"]

#: Rows and columns of a tile, which a cache holds (measured).
TILE = 1024

#: Columns from which NumPy's BLAS is the faster one, though its threads wait by spinning, while torch's look at the
#: scores; and how many tiles are multiplied at a time, by NumPy's and by torch's (measured).
_WIDE, _TILES_OF_NUMPY, _TILES = 2048, 8, 4


@runtime_checkable  # the shape checker asks
class TileProducts(Protocol):
    """Rows as they are multiplied.

    Attributes:
        held: whether they all are in memory.
        at_once: how many tiles are multiplied at a time, at the most.
    """

    held: bool
    at_once: int

    def read(self, part: slice) -> Tensor:
        """Some rows."""

    def into(self, out: Float[Tensor, "R C"], z: Tensor, other: slice, y: Tensor, own: slice) -> None:
        """Products of the prepared rows ``other``, read as ``z``, and ``own``, read as ``y``."""


class SingleProducts:
    """Prepared rows in float32.

    Args:
        space: the rows.
        budget: bytes; rows that take more than half of it are prepared anew whenever they are read.
    """

    def __init__(self, space: Space, budget: int) -> None:
        self.held = 4 * len(space) * space.width <= budget // 2
        # Torch may be set to round float32 factors.
        self._by_numpy = space.width >= _WIDE or not keeps_float32(torch.device("cpu"))
        self.at_once = _TILES_OF_NUMPY if self._by_numpy else _TILES
        self._space, self._factor = space, None
        if self.held:
            self._rows, factor = space.factors(torch.device("cpu"))
            self._factor = torch.from_numpy(factor).float() if (factor != 1).any() else None

    def read(self, part: slice) -> Float[Tensor, "R F"]:
        """See :class:`TileProducts`; but for the factors, where all are held."""
        if self.held:
            return self._rows[part]
        return self._space.single(np.arange(len(self._space))[part], torch.device("cpu"))

    def into(
        self, out: Float[Tensor, "R C"], z: Float[Tensor, "R F"], other: slice, y: Float[Tensor, "C F"], own: slice
    ) -> None:
        """See :class:`TileProducts`."""
        if self._by_numpy:
            product_into(z, y, out)
        else:
            torch.mm(z, y.T, out=out)
        if self._factor is not None:
            out.mul_(self._factor[other, None]).mul_(self._factor[own])


class CodedTiles:
    """Rows as codes of 8 bits.

    Args:
        space: the rows.
        budget: bytes, of which a sixteenth is for products.
    """

    held, at_once = True, _TILES

    def __init__(self, space: Space, budget: int) -> None:
        # Rows of features are coded in cache; to add those of users up, few calls take less time than many.
        coded_bytes = CACHED_BYTES if isinstance(space.rows, FeatureRows) else space.block_bytes
        self._codes = Codes(space.rows, block_bytes=coded_bytes)
        self._products = CodedProducts(self._codes, space.scale, centred=False)
        self._scale, self._own = space.scale, torch.from_numpy(space.own).float()
        entries = max(len(space), min(self.at_once * TILE * TILE, budget // 64))
        self._integers = large_empty(entries, dtype=torch.int32)

    def slack(self, single: Slack) -> Slack:
        """Factors of the error bound, those of float32 sums among them."""
        errors = self._scale * code_errors(self._codes.step, np.sqrt(self._codes.squares), shared=False)
        p, q = (np.hypot(errors, part) for part in alike(*single))
        return p, q

    def blocks(self, space: Space) -> Iterator[tuple[slice, Float[Tensor, "C B"]]]:
        """Scores of all rows with the centres of a sample."""
        size = len(space)
        columns = min(block_columns(size), self._integers.numel() // size)
        for block in slices(0, len(space.centres), columns):
            own = evenly(space, block)
            scores = torch.empty(size, block.stop - block.start)
            self.into(scores, self.read(slice(0, size)), slice(0, size), self.read(own).contiguous(), own)
            yield block, scores

    def read(self, part: slice) -> Int[Tensor, "R F"]:
        """See :class:`TileProducts`."""
        return self._codes.codes[part]

    def into(
        self, out: Float[Tensor, "R C"], z: Int[Tensor, "R F"], other: slice, y: Int[Tensor, "C F"], own: slice
    ) -> None:
        """See :class:`TileProducts`."""
        self._products.into(out, z, other, y, own, self._integers)
        if other == own:  # whose errors are the same
            out.diagonal().copy_(self._own[own])
