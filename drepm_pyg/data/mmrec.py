"""The field's own format (MMRec): ``<name>.inter`` beside ``<modality>_feat.npy``."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import CorruptFileError, check_choice
from drepm_pyg._device import on_the_cpu
from drepm_pyg._files import replaced
from drepm_pyg.data.id_mapping import read_mapping, write_mapping
from drepm_pyg.data.interactions import Interactions, assign_split, latest_rows
from drepm_pyg.data.npy_file import map_array
from drepm_pyg.data.schema import build_data, check_hetero_data, modalities, modality_mask
from drepm_pyg.data.splits import Split, check_split, deal
from drepm_pyg.data.table_checks import check_cells, integers, numbers
from drepm_pyg.typing import Float, PathLike, Tensor

__all__ = ["read_mmrec", "write_mmrec"]

_INTER, _FEATURES, _MASK = ".inter", "_feat.npy", "_mask.npy"


@on_the_cpu
def read_mmrec(
    path: PathLike,
    *,
    modalities: Collection[str] | None = None,
    drop_unknown: bool = True,
    split: Split = None,
    seed: int = 0,
) -> HeteroData:
    """Read a data set in the format that the field shares.

    ``<name>.inter`` is tab-separated with the header columns ``userID``, ``itemID`` and ``x_label`` (0 training, 1
    validation, 2 test) in any order of columns and rows; ``rating`` and ``timestamp`` are kept where present. Every
    ``<modality>_feat.npy`` (rows by itemID, any float type) is a modality; it is memory-mapped copy-on-write, so
    nothing is read before it is used and no change reaches the file. ``<modality>_mask.npy`` (bool),
    ``i_id_mapping.csv`` and ``u_id_mapping.csv`` (original ids and titles) are read where present. Feature rows beyond
    the last item that has an interaction are items without interactions. Hidden files (``._image_feat.npy``) do not
    count.

    Args:
        path: the directory, or its ``.inter`` file.
        modalities: which feature files to take; None for all of them.
        drop_unknown: leave held-out pairs of users out who have no training pair, in the file's own split and in
            ``"temporal"`` (the other two leave every user a training pair; a function decides for itself).
        split: ``"random"``, ``"leave_one_out"``, ``"temporal"`` or any function from HeteroData to HeteroData deals the
            pairs anew, a pair that occurs more than once as one, with its latest row; ``x_label`` is not needed then.
            None keeps the file's own split.
        seed: of a random split.

    Returns:
        HeteroData in the schema. It is not validated beyond what reading needs: see :func:`~drepm_pyg.data.validate`.

    Raises:
        FileNotFoundError: there is no ``.inter`` file.
        CorruptFileError: a file is truncated, disagrees with another about the number of items, or does not hold
            what the format promises.
        ValueError: ``modalities`` names a file that is not there, or a split by time finds an empty time stamp.
    """
    check_split(split)
    inter = _find_inter(Path(path))
    folder = inter.parent
    columns = _read_inter(inter, labelled=split is None)
    present = {file.name.removesuffix(_FEATURES): file for file in _visible(folder, _FEATURES)}
    for name in modalities if modalities is not None else ():
        check_choice(list(present), modalities=name)
    chosen = {name: file for name, file in present.items() if modalities is None or name in modalities}

    features = {name: _map_features(file) for name, file in chosen.items()}
    masks = {name: _read_mask(folder / f"{name}{_MASK}") for name in chosen if (folder / f"{name}{_MASK}").exists()}
    users = read_mapping(folder / "u_id_mapping.csv", "userID")
    items = read_mapping(folder / "i_id_mapping.csv", "itemID")
    num_users = max(int(columns["userID"].max()) + 1, users.size)
    num_items = max(items.size, _count_items(inter, int(columns["itemID"].max()), features))
    for mapping, size in ((users, num_users), (items, num_items)):
        mapping.check_covers(size)
    tables = {f"{name}{_FEATURES}": x for name, x in features.items()}
    tables |= {f"{name}{_MASK}": mask for name, mask in masks.items()}
    for file, table in tables.items():
        if len(table) != num_items:
            raise CorruptFileError(f"'{file}' has {len(table):,} rows for {num_items:,} items. Was the file truncated?")

    data = build_data(
        num_users,
        num_items,
        torch.stack([columns["userID"], columns["itemID"]]),
        features=features,
        masks=masks,
        rating=columns.get("rating"),
        time=columns.get("timestamp"),
        user_id=users.original_id,
        item_id=items.original_id,
        title=items.title,
    )
    if split is not None:
        return deal(data, split, seed, drop_unknown=drop_unknown)
    if not bool((columns["x_label"] == 0).any()):
        raise CorruptFileError(f"'{inter.name}' has no row with x_label 0: its training split is empty.")
    return assign_split(data, columns["x_label"], drop_unknown=drop_unknown)


def _find_inter(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(
            f"'path' must be a data directory or its .inter file (got '{path}', which does not exist)."
        )
    found = _visible(path, _INTER)
    named = [file for file in found if file.stem == path.resolve().name]
    if len(found) != 1 and not named:
        listed = ", ".join(file.name for file in found) or "none"
        raise FileNotFoundError(f"'{path}' must hold exactly one .inter file (found: {listed}). Pass the file itself.")
    return (named or found)[0]


def _visible(folder: Path, ending: str) -> list[Path]:
    """The files with this ending, sorted, but for a killed writer's partial ones and macOS' ``._`` files."""
    return sorted(file for file in folder.glob(f"*{ending}") if not file.name.startswith("."))


def _read_inter(path: Path, *, labelled: bool) -> dict[str, Tensor]:
    import pandas as pd

    needed = ["userID", "itemID", *(["x_label"] if labelled else [])]

    try:
        frame = pd.read_csv(path, sep="\t", encoding="utf-8-sig")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"'{path.name}' is not a tab-separated table with a header: {error}") from error
    missing = [name for name in needed if name not in frame]
    if missing:
        header = [str(column) for column in frame]
        raise CorruptFileError(
            f"'{path.name}' lacks the columns {missing} (its header: {header}).{_hint(header, missing)}"
        )
    if frame.empty:
        raise CorruptFileError(f"'{path.name}' has a header but no interactions.")
    check_cells(frame, path.name)
    columns = {name: integers(path, frame[name]) for name in needed}
    labels = columns["x_label"].unique().tolist() if labelled else []
    if not set(labels) <= {0, 1, 2}:
        raise CorruptFileError(
            f"'{path.name}': 'x_label' must be 0 (training), 1 (validation) or 2 (test) (got {labels[:5]})."
        )
    if "rating" in frame:
        columns["rating"] = torch.tensor(numbers(path, frame["rating"]), dtype=torch.float32)
    if "timestamp" in frame:
        columns["timestamp"] = torch.tensor(numbers(path, frame["timestamp"]))
    if labelled:
        return columns
    user, item = (columns[name].numpy() for name in needed)
    kept = torch.from_numpy(latest_rows(user, item, frame["timestamp"].to_numpy() if "timestamp" in frame else None))
    return {name: column[kept] for name, column in columns.items()}


def _hint(header: list[str], missing: list[str]) -> str:
    """What the file may be instead."""
    if any(":" in column for column in header):
        return " Headers like 'user_id:token' are RecBole's: use read_recbole."
    if len(header) == 1 and any(sign in header[0] for sign in ",; "):
        return " Columns are separated by tabs."
    if missing == ["x_label"]:
        return " To split the pairs here, pass split='random', or call 'drepm data split'."
    return ""


def _map_features(file: Path) -> Float[Tensor, "I F"]:
    array = map_array(file)
    if array.ndim != 2 or array.dtype not in (np.float16, np.float32, np.float64):
        raise CorruptFileError(
            f"'{file.name}' must hold a float array [items, width] (got {array.dtype}, {list(array.shape)})."
        )
    return torch.from_numpy(array)


def _read_mask(file: Path) -> Tensor:
    array = map_array(file)
    if array.ndim != 1 or array.dtype != np.bool_:
        raise CorruptFileError(
            f"'{file.name}' must hold a bool array [items] (got {array.dtype}, {list(array.shape)})."
        )
    return torch.from_numpy(array)


def _count_items(inter: Path, highest: int, features: Mapping[str, Tensor]) -> int:
    needed = highest + 1
    for name, x in features.items():
        if len(x) < needed:
            raise CorruptFileError(
                f"'{name}{_FEATURES}' has {len(x):,} rows, but '{inter.name}' names items up to {needed - 1:,} "
                f"(needs {needed:,}). Was the file truncated?"
            )
    rows = {f"{name}{_FEATURES}": len(x) for name, x in features.items()}
    if len(set(rows.values())) > 1:
        raise CorruptFileError(
            f"The feature files disagree about the number of items: {rows}. Was one of them truncated?"
        )
    return max(needed, *rows.values()) if rows else needed


def write_mmrec(data: HeteroData, path: PathLike) -> None:
    """Write what :func:`read_mmrec` reads: interactions, features, masks, original ids and titles.

    Graphs are not written. Every file is replaced as a whole, so that features that are memory-mapped from the same
    place stay readable.

    Args:
        data: HeteroData in the schema.
        path: a directory, made where it is missing; its name becomes the name of the ``.inter`` file.

    Raises:
        FileExistsError: the directory holds other interactions or features, which reading back would mix in.
        TypeError: NumPy has no counterpart of a modality's type (bfloat16).
    """
    check_hetero_data(data)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    inter = folder / f"{folder.resolve().name.lstrip('.') or 'data'}{_INTER}"  # a hidden file would not count
    arrays = {f"{name}{_FEATURES}": data["item"][name] for name in modalities(data)}
    arrays |= {f"{name}{_MASK}": mask for name in modalities(data) if (mask := modality_mask(data, name)) is not None}
    present = {file.name for ending in (_INTER, _FEATURES, _MASK) for file in _visible(folder, ending)}
    foreign = sorted(present - {inter.name, *arrays})
    if foreign:
        raise FileExistsError(f"'{folder}' holds another data set's files {foreign}. Write to an empty directory.")
    for name, tensor in arrays.items():  # before the first file is replaced
        if tensor.dtype == torch.bfloat16:
            raise TypeError(
                f"'{name}' cannot be written as bfloat16, which NumPy does not have. Convert it with .float()."
            )
    for name, tensor in arrays.items():
        with replaced(folder / name) as file:
            np.save(file, tensor.detach().cpu().numpy())
    _write_inter(data, inter)
    write_mapping(folder / "u_id_mapping.csv", "userID", data["user"])
    write_mapping(folder / "i_id_mapping.csv", "itemID", data["item"])


def _write_inter(data: HeteroData, path: Path) -> None:
    import pandas as pd

    pooled = Interactions.of(data)
    columns = {"userID": pooled.edge_index[0], "itemID": pooled.edge_index[1]}
    columns |= {} if pooled.rating is None else {"rating": pooled.rating}
    columns |= {} if pooled.time is None else {"timestamp": pooled.time}
    columns |= {"x_label": pooled.label}
    frame = pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()})
    with replaced(path) as file:
        frame.to_csv(file, sep="\t", index=False)
