"""The shared names: shape annotations (jaxtyping), PyG's adjacency types, and paths.

Shape letters, the same everywhere: ``U`` users, ``I`` items, ``N`` nodes of any kind, ``E`` edges, ``B`` batch rows,
``D`` embedding width, ``F`` raw feature width, ``K`` neighbours or top-k, ``L`` layers.
"""

import os

from jaxtyping import Bool, Float, Int, Real
from torch import Tensor
from torch_geometric.typing import Adj, OptTensor

__all__ = ["Adj", "Bool", "Float", "Int", "OptTensor", "PathLike", "Real", "Tensor"]

PathLike = str | os.PathLike[str]
