"""What decides a run, in Python's own types."""

import json
from typing import Any

import numpy as np
import pytest

from drepm_pyg.training.settings import Settings

PLAIN: dict[str, Any] = {
    "batch_size": 16,
    "lr": 0.5,
    "lr_decay": 1.0,
    "patience": 3,
    "monitor": "val/recall@5",
    "validate_every": 1,
    "seed": 3,
    "ks": [1, 5],
    "metrics": ["recall"],
    "track_lines": False,
}


def test_a_file_gives_back_what_was_written() -> None:
    settings = Settings(**PLAIN)
    assert settings.plain() == json.loads(json.dumps(settings.plain())) == PLAIN


@pytest.mark.errors  # to a type checker NumPy's numbers are none of Python's
def test_numbers_of_numpy_become_pythons() -> None:
    given = {"batch_size": np.int64(16), "lr": np.float32(0.5), "lr_decay": 1, "seed": np.uint8(3)}
    given |= {"ks": np.array([1, 5]), "patience": np.int8(3)}
    settings = Settings(**{**PLAIN, **given})
    assert settings == Settings(**PLAIN)
    for name, value in settings.plain().items():
        assert type(value) is type(PLAIN[name])
    assert [type(k) for k in settings.ks] == [int, int]
