"""Dual-representation multimodal recommendation on PyTorch Geometric (DRepMRec)."""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = ("data", "evaluation", "experiments", "graph", "models", "nn", "recommend", "training", "typing")

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> ModuleType:
    """Import a room on first use, so that ``import drepm_pyg`` costs nothing."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
