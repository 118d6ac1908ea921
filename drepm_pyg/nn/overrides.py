"""Whether a module still does what its class was written to do: what a shorter way round its forward must know."""

from torch import nn

__all__ = ["has_forward", "has_rows", "is_as_written"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_as_written(module: nn.Module, owner: type[nn.Module], *methods: str) -> bool:
    """Whether a call of ``module`` is the forward of ``owner`` and nothing else.

    Args:
        module: whose forward is to be left out.
        owner: the class that knows the shorter way.
        methods: further methods that its forward calls and the shorter way does not.
    """
    return has_forward(module, owner, *methods) and not _has_hooks(module)


def has_forward(module: nn.Module, owner: type[nn.Module], *methods: str) -> bool:
    """Whether the forward of ``module`` is that of ``owner``, and so are further ``methods``; hooks may see it."""
    return all(
        getattr(type(module), name, None) is getattr(owner, name) and name not in vars(module)
        for name in ("forward", *methods)
    )


def has_rows(encoder: nn.Module) -> bool:
    """Whether ``encoder.at`` may stand for its forward: it is optional, and hooks wait for the forward."""
    return callable(getattr(encoder, "at", None)) and not _has_hooks(encoder)


def _has_hooks(module: nn.Module) -> bool:
    return any(getattr(module, hooks) for hooks in _HOOKS)
