"""What tests share: invariants on, a generator, a data set on disk."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

# A malformed sparse tensor fails here instead of crashing the process.
torch.sparse.check_sparse_tensor_invariants.enable()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a synthetic data set to read, ``written("toy", num_users=60, num_items=40)``; each is made once."""
    from drepm_pyg.data import SyntheticMultimodal, write_mmrec  # not before the jaxtyping hook is there

    @cache
    def folder(name: str = "toy", num_users: int = 60, num_items: int = 40) -> Path:
        path = tmp_path_factory.mktemp("data") / name
        write_mmrec(SyntheticMultimodal(num_users=num_users, num_items=num_items, seed=0)[0], path)
        return path

    return folder
