"""Whether a module still does what its class was written to do: what a shorter way round its forward must know."""

from torch import nn

from drepm_pyg.nn.conv.normalized_sum import NormalizedSumConv

__all__ = ["has_rows", "is_as_written", "takes_structure"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_as_written(module: nn.Module, owner: type[nn.Module], *methods: str) -> bool:
    """Whether a call of ``module`` is the forward of ``owner`` and nothing else.

    Args:
        module: whose forward is to be left out.
        owner: the class that knows the shorter way.
        methods: further methods that its forward calls and the shorter way does not.
    """
    return _has_methods(module, owner, "forward", *methods) and not _has_hooks(module)


def takes_structure(conv: nn.Module, kind: type[NormalizedSumConv]) -> bool:
    """Whether a convolution is of this kind and may be given a frozen structure in place of edges; hooks may see it."""
    return isinstance(conv, kind) and _has_methods(conv, kind, "forward") and conv.takes_structure


def _has_methods(module: nn.Module, owner: type[nn.Module], *methods: str) -> bool:
    return all(
        getattr(type(module), name, None) is getattr(owner, name) and name not in vars(module) for name in methods
    )


def has_rows(encoder: nn.Module) -> bool:
    """Whether ``encoder.at`` may stand for its forward: it is optional, and hooks wait for the forward."""
    return callable(getattr(encoder, "at", None)) and not _has_hooks(encoder)


def _has_hooks(module: nn.Module) -> bool:
    return any(getattr(module, hooks) for hooks in _HOOKS)
