"""A recommender on disk: tensors as safetensors, everything else as JSON; reading runs no code from either."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from drepm_pyg import __version__
from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import replaced
from drepm_pyg.recommend.catalog import Catalog, Tables
from drepm_pyg.typing import PathLike, Tensor

__all__ = ["HEADER", "read_recommender", "write_recommender"]

TENSORS, HEADER = "tensors.safetensors", "recommender.json"

_FORMAT = "drepm_pyg.recommender"
_VERSION = 1
_SIZES = ("num_users", "num_items", "num_trained")
_NAMES = {"titles": "num_items", "item_ids": "num_items", "user_ids": "num_users"}


def write_recommender(path: PathLike, tables: Tables, catalog: Catalog) -> None:
    """Write the two files; each appears complete or not at all, and the header names the tensors' checksum."""
    folder = Path(path)
    _check_own(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "user": tables.user,
        "item": tables.item,
        "seen": catalog.seen,
        **{f"feature.{name}": x for name, x in catalog.features.items()},
        **{f"mask.{name}": mask for name, mask in catalog.masks.items()},
    }
    held: set[int] = set()  # safetensors refuses tensors that share memory, as one mask for two modalities
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        tensors[name] = plain.clone() if plain.untyped_storage().data_ptr() in held else plain
        held.add(tensors[name].untyped_storage().data_ptr())
    with replaced(folder / TENSORS) as file:
        save_file(tensors, file)
        checksum = _checksum(file)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "library": __version__,
        "checksum": checksum,
        **{name: getattr(catalog, name) for name in (*_SIZES, *_NAMES)},
    }
    with replaced(folder / HEADER) as file:
        file.write_text(json.dumps(header, ensure_ascii=False), encoding="utf-8")


def _check_own(folder: Path) -> None:
    """In a run's folder, a saved recommender would answer in the place of the run from then on."""
    if (folder / HEADER).exists():
        return
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in names if name != TENSORS and not name.startswith(".")]  # hidden ones are the system's
    if foreign or (folder.exists() and not folder.is_dir()):
        held = f"which holds '{foreign[0]}'" if foreign else "a file"
        raise ValueError(
            f"'path' must be a new or empty folder, or one that holds a saved recommender (got '{folder}', {held})."
        )


def read_recommender(path: PathLike) -> tuple[Tables, Catalog]:
    """Read and check the two files."""
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"'path' must be a directory that Recommender.save wrote (got '{folder}').")
    header = _read_header(folder / HEADER)
    tensors = _read_tensors(folder / TENSORS, header)
    try:
        tables = Tables(tensors["user"], tensors["item"])
        catalog = Catalog(
            **{name: header[name] for name in (*_SIZES, *_NAMES)},
            seen=tensors["seen"],
            features=_with_prefix(tensors, "feature."),
            masks=_with_prefix(tensors, "mask."),
        )
        faults = _faults(tables, catalog)
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise CorruptFileError(
            f"'{HEADER}' and '{TENSORS}' in '{folder}' lack what they must hold ({error!r})."
        ) from error
    if faults:
        raise CorruptFileError(f"'{HEADER}' does not fit '{TENSORS}' in '{folder}': {'; '.join(faults)}.")
    return tables, catalog


def _read_header(file: Path) -> dict[str, Any]:
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptFileError(
            f"'{file.name}' is missing in '{file.parent}'. Did Recommender.save write it?"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"'{file}' is no readable JSON ({error}). Was the file truncated?") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise CorruptFileError(f'\'{file}\' does not describe a recommender: its "format" must be "{_FORMAT}".')
    if header.get("version") != _VERSION:
        raise CorruptFileError(
            f"'{file}' has format version {header.get('version')!r}, this library reads {_VERSION}. "
            f"It was written by drepm_pyg {header.get('library')}."
        )
    return header


def _read_tensors(file: Path, header: Mapping[str, Any]) -> dict[str, Tensor]:
    if not file.is_file():
        raise CorruptFileError(f"'{file.name}' is missing in '{file.parent}'. Did Recommender.save write it?")
    if _checksum(file) != header.get("checksum"):
        raise CorruptFileError(
            f"'{file}' is not the file that '{HEADER}' describes. Was it truncated, changed, or taken from another "
            "save?"
        )
    try:
        return load_file(file)
    except SafetensorError as error:
        raise CorruptFileError(f"'{file}' cannot be read as safetensors ({error}).") from error


def _faults(tables: Tables, catalog: Catalog) -> list[str]:
    """Everything in which sizes, tables and names disagree."""
    sizes = {name: getattr(catalog, name) for name in _SIZES}
    faults = [f"'{name}' is {size!r}, no count" for name, size in sizes.items() if type(size) is not int or size < 1]
    if faults:
        return faults
    expected = {
        "user": (tables.user, (catalog.num_users, tables.item.size(1))),
        "item": (tables.item, (catalog.num_items, tables.item.size(1))),
        "seen": (catalog.seen, (2, catalog.seen.size(1))),
        **{f"feature.{n}": (x, (catalog.num_trained, x.size(1))) for n, x in catalog.features.items()},
        **{f"mask.{n}": (mask, (catalog.num_trained,)) for n, mask in catalog.masks.items()},
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            faults.append(f"'{name}' has the shape {list(tensor.shape)}, expected {list(shape)}")
    faults += [
        f"'{name}' is no list of {sizes[of]} strings" for name, of in _NAMES.items() if not _fits(catalog, name, of)
    ]
    if faults:
        return faults
    limits = torch.tensor([[catalog.num_users], [catalog.num_trained]])
    if catalog.seen.dtype != torch.long or bool(((catalog.seen < 0) | (catalog.seen >= limits)).any()):
        faults.append("'seen' holds ids out of range")
    return faults


def _fits(catalog: Catalog, name: str, size: str) -> bool:
    names = getattr(catalog, name)
    if names is None:
        return True
    return isinstance(names, list) and len(names) == getattr(catalog, size) and all(isinstance(n, str) for n in names)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
