"""One module per modality, under any name that a file may have."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, cast

from torch import nn

from drepm_pyg._checks import check_at_least, check_mapping

__all__ = ["ModalityDict", "check_in_channels"]

M = TypeVar("M", bound=nn.Module)

_PREFIX = "modality_"  # a ModuleDict refuses names that are attributes of its own, such as "keys"


class ModalityDict(nn.Module, Generic[M]):
    """A typed :class:`torch.nn.ModuleDict` that takes every name.

    Args:
        modules: the modules by modality.
    """

    def __init__(self, modules: Mapping[str, M]) -> None:
        super().__init__()
        self.names = tuple(modules)
        for name, module in modules.items():
            self.add_module(_key(name), module)

    def __getitem__(self, name: str) -> M:
        return cast(M, self._modules[_key(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def items(self) -> Iterator[tuple[str, M]]:
        """Names and modules, in the order given."""
        return ((name, self[name]) for name in self.names)

    def values(self) -> Iterator[M]:
        """The modules, in the order given."""
        return (self[name] for name in self.names)


def check_in_channels(in_channels: Mapping[str, int]) -> None:
    """The width of each modality, of one at least."""
    check_mapping(in_channels=in_channels)
    if not in_channels:
        raise ValueError("'in_channels' must name at least one modality (got an empty mapping).")
    check_at_least(1, **{f"in_channels[{name!r}]": width for name, width in in_channels.items()})


def _key(name: str) -> str:
    """A name that no other modality has, without the dot that separates modules in a state dict."""
    return _PREFIX + name.replace("%", "%25").replace(".", "%2E")
