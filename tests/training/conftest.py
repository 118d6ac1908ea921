"""What tests of training share: a short run."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from drepm_pyg.training import FitResult

QUICK = {"batch_size": 16, "max_epochs": 4, "lr": 0.02, "ks": (1, 5), "monitor": "val/recall@5", "progress": False}


@pytest.fixture
def train(tmp_path: Path) -> "Callable[..., FitResult]":
    """``fit`` for four epochs of three steps in ``tmp_path``, or with other options: ``train(model, data, seed=1)``."""
    from drepm_pyg.training import fit  # not before the jaxtyping hook is there

    def run(model: Any, data: Any, **options: Any) -> "FitResult":
        return fit(model, data, **{"root": tmp_path, **QUICK, **options})

    return run
