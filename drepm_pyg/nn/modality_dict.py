"""One module per modality, under any name that a file may have."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, cast

from torch import nn

__all__ = ["ModalityDict"]

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


def _key(name: str) -> str:
    """A name that no other modality has, without the dot that separates modules in a state dict."""
    return _PREFIX + name.replace("%", "%25").replace(".", "%2E")
