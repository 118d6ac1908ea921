"""The arguments that the transforms share: checked, and shown."""

from collections.abc import Mapping, Sequence, Set

from drepm_pyg._checks import check_choice, check_list

__all__ = ["NODES", "check_modalities", "check_nodes", "shown"]

NODES = ("item", "user")

_ALWAYS = object()  # equal to nothing: the argument is shown whatever it is


def check_nodes(nodes: Sequence[str]) -> None:
    """A list of distinct node types, not empty."""
    check_list(nodes=nodes)
    for node in nodes:
        check_choice(NODES, nodes=node)
    if not nodes or len(set(nodes)) != len(nodes):
        raise ValueError(f"'nodes' must name distinct node types (got {list(nodes)}).")


def check_modalities(modalities: Sequence[str] | None) -> None:
    """Names in a list, one at least."""
    if modalities is None:
        return
    if not isinstance(modalities, Set):  # as a mapping's keys are
        check_list(modalities=modalities)
    if not modalities:
        raise ValueError("'modalities' must name one at least (got none). Leave it out for all that there are.")


def shown(transform: object, arguments: Mapping[str, object], defaults: Mapping[str, object]) -> str:
    """The call that made a transform, but for what is at its default.

    All that decides the result must stand in it: PyG compares it with what a data set was processed with.
    """
    given = [f"{name}={value!r}" for name, value in arguments.items() if value != defaults.get(name, _ALWAYS)]
    return f"{type(transform).__name__}({', '.join(given)})"
