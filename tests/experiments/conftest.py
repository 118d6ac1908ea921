"""What the tests of figures share."""

from typing import Any

import pytest


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of every figure that is drawn from here on."""
    from matplotlib.figure import Figure

    kept: list[Any] = []
    subplots = Figure.subplots

    def keep(self: Figure, *args: Any, **options: Any) -> Any:
        axes = subplots(self, *args, **options)
        kept.extend(axes.flatten())
        return axes

    monkeypatch.setattr(Figure, "subplots", keep)
    return kept
