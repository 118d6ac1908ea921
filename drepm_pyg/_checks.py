"""Argument checks: one wording for all errors (argument in quotes, what was given, what is expected, the way out)."""

import importlib
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from drepm_pyg.typing import PathLike

__all__ = [
    "CorruptFileError",
    "MissingExtraError",
    "check_at_least",
    "check_choice",
    "check_device",
    "check_edge_index",
    "check_edge_weight",
    "check_finite",
    "check_flag",
    "check_fraction",
    "check_generator",
    "check_id_types",
    "check_id_vectors",
    "check_ids",
    "check_list",
    "check_mapping",
    "check_node_ids",
    "check_non_negative",
    "check_number",
    "check_pairs",
    "check_path",
    "check_positive",
    "check_row_numbers",
    "check_same_dtype",
    "check_same_shape",
    "check_seed",
    "check_tensors",
    "check_text",
    "list_faults",
    "require",
    "retold",
    "said_of",
]


class MissingExtraError(ImportError):
    """An optional part of the library is not installed; the message names the extra that brings it."""


class CorruptFileError(ValueError):
    """A file is truncated or does not hold what its format promises."""


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or raise :class:`MissingExtraError` with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the package '{module}', which is not installed. "
            f'Install it with: pip install "drepm_pyg[{extra}]"'
        ) from error


def check_positive(**values: float) -> None:
    """Every value must be a finite number above 0."""
    _check_real(**values)
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"'{name}' must be a finite number above 0 (got {value}).")


def check_non_negative(**values: float) -> None:
    """Every value must be a finite number of at least 0."""
    _check_real(**values)
    for name, value in values.items():
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"'{name}' must be a finite number of at least 0 (got {value}).")


def check_fraction(**values: float) -> None:
    """Every value must lie in [0, 1)."""
    _check_real(**values)
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"'{name}' must lie in [0, 1) (got {value}).")


def check_number(**values: Any) -> None:
    """Every value that is not None must be a number, neither a string nor a truth value."""
    _check_real(**{name: value for name, value in values.items() if value is not None})


def _check_real(**values: Any) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"'{name}' must be a number (got {value!r}, a {type(value).__name__}).")


def check_generator(generator: Any) -> None:
    """One of torch's generators, or None for its own."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"'generator' must be a torch.Generator (got {generator!r}, a {type(generator).__name__}).")


def check_flag(**values: Any) -> None:
    """Every value must be True or False: any text would count as true."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise TypeError(f"'{name}' must be True or False (got {value!r}).")


def check_text(**values: Any) -> None:
    """Every value must be a text; what it may be depends on what it names."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"'{name}' must be a string (got {value!r}, a {type(value).__name__}).")


def check_at_least(minimum: int, **values: int) -> None:
    """Every value must be an integer of at least ``minimum``."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):  # NumPy's integers are Integral, too
            raise TypeError(f"'{name}' must be an integer (got {value!r}, a {type(value).__name__}).")
        if value < minimum:
            raise ValueError(f"'{name}' must be at least {minimum} (got {value}).")


def check_seed(**values: int) -> None:
    """Every value must be an integer that torch's generators take."""
    check_at_least(-(2**63), **values)
    for name, value in values.items():
        if value >= 2**64:
            raise ValueError(f"'{name}' must be less than 2**64 (got {value}).")


def check_choice(choices: Collection[str], **values: Any) -> None:
    """Every value must be one of ``choices``."""
    known = list(choices)  # a mapping would have to hash the value, which may be a list
    for name, value in values.items():
        if value not in known:
            listed = ", ".join(map(repr, known)) or "nothing, as there is none"
            raise ValueError(f"'{name}' must be one of {listed} (got {value!r}).")


def check_path(**values: PathLike) -> None:
    """Every value must be a text or a path."""
    for name, value in values.items():
        if not isinstance(value, str | os.PathLike):
            raise TypeError(f"'{name}' must be a path (got {value!r}, a {type(value).__name__}).")


def check_list(**values: Any) -> None:
    """Every value must be a sequence other than a text, which would be one of letters."""
    for name, value in values.items():
        if isinstance(value, str) or not isinstance(value, Sequence):
            way = f" Pass ({value!r},)." if isinstance(value, str) else ""
            raise TypeError(f"'{name}' must be a list or a tuple (got {value!r}).{way}")


def check_mapping(**values: Any) -> None:
    """Every value must be a mapping of names; the numbers are not looked at."""
    for name, value in values.items():
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise TypeError(f"'{name}' must map names to numbers (got {value!r}).")


def check_tensors(**values: Any) -> None:
    """Every value must be a torch tensor."""
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"'{name}' must be a torch tensor (got a {type(value).__name__}). Convert it: torch.as_tensor."
            )


def check_same_shape(**tensors: Tensor) -> None:
    """All tensors must have the shape of the first."""
    (first, reference), *others = tensors.items()
    for name, tensor in others:
        if tensor.shape != reference.shape:
            raise ValueError(
                f"'{name}' must have the shape of '{first}' (got {list(tensor.shape)}, expected "
                f"{list(reference.shape)})."
            )


def check_same_dtype(**tensors: Tensor) -> None:
    """All tensors must have the dtype of the first."""
    (first, reference), *others = tensors.items()
    for name, tensor in others:
        if tensor.dtype != reference.dtype:
            raise TypeError(
                f"'{name}' must have the dtype of '{first}' (got {tensor.dtype}, expected {reference.dtype})."
            )


def check_finite(**tensors: Tensor) -> None:
    """No NaN and no infinity; the message counts the offending rows and names the first five."""
    for name, tensor in tensors.items():
        # One pass without a temporary of the tensor's size: a sum is finite unless an entry is not (or it overflows).
        if tensor.numel() == 0 or bool(torch.isfinite(tensor.sum(dtype=torch.float64))):
            continue
        rows = tensor if tensor.ndim == 1 else tensor.flatten(1)
        bad = ~torch.isfinite(rows) if rows.ndim == 1 else ~torch.isfinite(rows).all(dim=1)
        if bad.any():
            where = bad.nonzero().flatten()
            raise ValueError(
                f"'{name}' holds NaN or infinite values in {len(where)} of {len(tensor)} rows (first: "
                f"{where[:5].tolist()}). Repair these rows, or mask them."
            )


def check_id_types(**tensors: Any) -> None:
    """Tensors of integers; which ones is not looked at, so that a GPU need not wait."""
    check_tensors(**tensors)
    for name, ids in tensors.items():
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise TypeError(f"'{name}' must hold integer ids (got {ids.dtype}).")


def check_row_numbers(**tensors: Any) -> None:
    """Tensors of integers by which torch looks up rows."""
    check_id_types(**tensors)
    for name, ids in tensors.items():
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"'{name}' must hold ids in int64 or int32 (got {ids.dtype}). Pass {name}.long().")


def check_id_vectors(**tensors: Any) -> None:
    """Vectors of integers by which torch looks up rows."""
    check_row_numbers(**tensors)
    for name, ids in tensors.items():
        if ids.ndim != 1:
            raise ValueError(
                f"'{name}' must be a vector of ids (got the shape {list(ids.shape)}). Pass {name}.flatten()."
            )


def check_ids(size: int, *, what: str, **tensors: Tensor) -> None:
    """Integer ids in [0, size); ``what`` names the set they index ("users", "items", "nodes")."""
    check_id_types(**tensors)
    for name, ids in tensors.items():
        if ids.numel() == 0:
            continue
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= size:
            raise ValueError(f"'{name}' must hold ids in [0, {size}) for {size:,} {what} (got {low} to {high}).")


def check_node_ids(**tensors: Tensor) -> None:
    """Integer ids of at least 0, where nothing says how many nodes there are."""
    check_id_types(**tensors)
    for name, ids in tensors.items():
        if ids.numel() and int(ids.min()) < 0:
            raise ValueError(f"'{name}' must hold ids of at least 0 (got {int(ids.min())}).")


def check_edge_index(edge_index: Tensor, *, name: str = "edge_index") -> None:
    """A long tensor ``[2, E]``."""
    if not isinstance(edge_index, Tensor):
        raise TypeError(f"'{name}' must be a long tensor (got {type(edge_index).__name__}).")
    if edge_index.ndim != 2 or edge_index.size(0) != 2:
        raise ValueError(f"'{name}' must have the shape [2, E] (got {list(edge_index.shape)}).")
    if edge_index.dtype != torch.long:
        raise TypeError(f"'{name}' must be a long tensor (got {edge_index.dtype}).")


def check_pairs(pairs: Tensor, num_users: int, num_items: int, *, name: str = "edge_index") -> None:
    """A long tensor ``[2, E]``: row 0 users, row 1 items, all of which exist."""
    check_edge_index(pairs, name=name)
    check_ids(num_users, what="users", **{f"{name}[0]": pairs[0]})
    check_ids(num_items, what="items", **{f"{name}[1]": pairs[1]})


def check_edge_weight(edge_weight: Tensor, num_edges: int, *, name: str = "edge_weight") -> None:
    """A tensor with a real number for every edge."""
    check_tensors(**{name: edge_weight})
    if edge_weight.shape != (num_edges,):
        raise ValueError(
            f"'{name}' must have one entry per edge (got {list(edge_weight.shape)} for {num_edges} edges)."
        )
    if edge_weight.is_complex():
        raise TypeError(f"'{name}' must hold real numbers (got {edge_weight.dtype}).")


def check_device(device: torch.device | str) -> None:
    """Tensors can be made on the device.

    Raises:
        ValueError: if they cannot.
    """
    try:
        usable = torch.empty(0, device=device).device.type != "meta"
        reason = "holds no values"
    except (AssertionError, RuntimeError, TypeError) as error:
        usable, reason = False, str(error).splitlines()[0].split(". ")[0].rstrip(".")
    if not usable:
        raise ValueError(f"'device' must be one that this torch can use, such as 'cpu' (got '{device}': {reason}).")


@contextmanager
def said_of(name: str) -> Iterator[None]:
    """What is wrong with one of several inputs is said with its name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise retold(error, f"{name}: {error}") from error


def retold(error: TypeError | ValueError, text: str) -> Exception:
    """An error of the same kind that says something else."""
    try:
        return type(error)(text)
    except TypeError:  # a kind that is made of more than a text, as UnicodeDecodeError
        return (TypeError if isinstance(error, TypeError) else ValueError)(text)


def list_faults(subject: str, faults: Iterable[str]) -> None:
    """Raise one ValueError that lists every fault; no fault, no error."""
    listed = list(faults)
    if listed:
        count = "1 fault" if len(listed) == 1 else f"{len(listed)} faults"
        raise ValueError(f"{subject} has {count}:\n" + "\n".join(f"  - {fault}" for fault in listed))
