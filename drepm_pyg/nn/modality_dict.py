"""One module per modality, under any name that a file may have."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

import torch
from torch import nn

from drepm_pyg._checks import check_at_least, check_choice, check_mapping, check_tensors
from drepm_pyg.typing import Tensor

__all__ = ["ModalityDict", "check_by_modality", "check_features", "check_in_channels", "check_masks"]

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


def check_by_modality(names: Iterable[str], **mappings: Any) -> None:
    """Mappings that have an entry for every modality; further ones may lie beside them."""
    for argument, given in mappings.items():
        if not isinstance(given, Mapping):
            example = next(iter(names), "text")
            raise TypeError(
                f"'{argument}' must map modalities to what belongs to each (got a {type(given).__name__}). Pass "
                f"{{{example!r}: ...}}."
            )
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"'{argument}' lacks the modalities {missing} (got {sorted(given)}).")


def check_features(in_channels: Mapping[str, int], features: Any) -> None:
    """A matrix for every modality, of its width."""
    check_by_modality(in_channels, features=features)
    for name, width in in_channels.items():
        check_tensors(**{f"features[{name!r}]": features[name]})
        if features[name].ndim != 2 or features[name].size(1) != width:
            raise ValueError(
                f"'features[{name!r}]' must have the shape [N, {width}] (got {list(features[name].shape)})."
            )


def check_masks(in_channels: Mapping[str, int], masks: Any, features: Mapping[str, Tensor]) -> None:
    """For some of the modalities, which rows have it: bool ``[N]``."""
    check_by_modality((), masks=masks)
    for name, mask in masks.items():
        check_choice(list(in_channels), **{"a modality of masks": name})
        check_tensors(**{f"masks[{name!r}]": mask})
        rows = len(features[name])
        if mask.dtype != torch.bool or mask.shape != (rows,):
            raise ValueError(
                f"'masks[{name!r}]' must be bool of the shape [{rows}], True = present (got {mask.dtype}, "
                f"{list(mask.shape)})."
            )


def _key(name: str) -> str:
    """A name that no other modality has, without the dot that separates modules in a state dict."""
    return _PREFIX + name.replace("%", "%25").replace(".", "%2E")
