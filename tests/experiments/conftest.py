"""What the tests of figures share."""

from typing import Any

import pytest

from drepm_pyg.experiments.canvas import canvas


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of every figure that is drawn from here on."""
    kept: list[Any] = []
    enter = canvas.__enter__

    def keep(self: canvas) -> list[Any]:
        axes = enter(self)
        kept.extend(axes)
        return axes

    monkeypatch.setattr(canvas, "__enter__", keep)
    return kept
