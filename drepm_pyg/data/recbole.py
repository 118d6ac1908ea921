"""Data sets in RecBole's format, filtered, numbered and split."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import CorruptFileError, check_at_least, check_number
from drepm_pyg._device import on_the_cpu
from drepm_pyg.data.atomic_files import read_atomic_files
from drepm_pyg.data.interactions import Column, latest_rows
from drepm_pyg.data.k_core import k_core as take_core
from drepm_pyg.data.schema import build_data
from drepm_pyg.data.splits import Split, check_split, deal
from drepm_pyg.typing import Bool, Float, PathLike, Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_recbole"]

_RATING, _TIME = "rating", "timestamp"  # a file need not have these two
_TITLES = ("title", "name")


@on_the_cpu
def read_recbole(
    path: PathLike,
    *,
    name: str | None = None,
    rating_threshold: float | None = None,
    k_core: int | None = None,
    split: Split = "random",
    seed: int = 0,
    user_field: str = "user_id",
    item_field: str = "item_id",
    rating_field: str = _RATING,
    time_field: str = _TIME,
) -> HeteroData:
    """Read a data set in RecBole's format: filter, number, split.

    A pair that occurs more than once counts once, with its latest row (its last one where there are no time stamps).
    The threshold is applied then, the k-core after it, the split at the end. Users and items are those with an
    interaction left, numbered by their tokens (as numbers where all of them are integers). Of the ``.item`` file, the
    titles and every ``float_seq`` column come along, the latter as a modality (an item without a value is masked).
    Other columns, and ``.kg`` and ``.link``, are there through :func:`~drepm_pyg.data.read_atomic_files`.

    Args:
        path: a directory, zip or wheel that holds the files somewhere (a zip is read in place), or the ``.inter`` file.
        name: the data set, where there are several.
        rating_threshold: keep interactions with at least this rating; None keeps all of them.
        k_core: keep users and items with at least so many interactions (:func:`~drepm_pyg.data.k_core`); None keeps
            all.
        split: ``"random"``, ``"leave_one_out"``, ``"temporal"``, any function from HeteroData to HeteroData, or None to
            leave every interaction in training.
        seed: of a random split.
        user_field: the column of users in ``.inter``.
        item_field: the column of items in ``.inter`` and ``.item``.
        rating_field: the column of ratings; ``rating`` may be missing, "" leaves them out.
        time_field: the column of time stamps; ``timestamp`` may be missing, "" leaves them out.

    Raises:
        FileNotFoundError: there is no such data set.
        CorruptFileError: a table cannot be read or lacks a column that is needed or named.
        ValueError: a threshold without ratings, a filter that leaves nothing, or a time stamp that is empty.
    """
    check_split(split)
    check_number(rating_threshold=rating_threshold)
    if k_core is not None:
        check_at_least(1, k_core=k_core)
    tables = read_atomic_files(path, name=name, kinds=("inter", "item"))
    inter = tables["inter"]
    named = [field for field in (rating_field, time_field) if field not in ("", _RATING, _TIME)]
    missing = [field for field in (user_field, item_field, *named) if field not in inter]
    if missing:
        raise CorruptFileError(
            f"The .inter file lacks the columns {missing} (it has {list(inter)}). Name them with 'user_field', "
            "'item_field', 'rating_field' and 'time_field'."
        )
    for argument, field in (("user_field", user_field), ("item_field", item_field)):
        _check_tokens(inter, argument, field, "inter")
    # Tokens are compared once: from here on they are numbers, in the order in which they appear.
    users, items = (_Tokens.of(inter[field]) for field in (user_field, item_field))
    empty = users.are("") | items.are("")
    if empty.any():
        raise CorruptFileError(
            f"The .inter file has {empty.sum():,} rows without a user or an item (first: line {empty.argmax() + 2}). "
            "Was the file truncated?"
        )
    rating, time = (_numbers(inter[field]) if field in inter else None for field in (rating_field, time_field))
    kept = latest_rows(users.number, items.number, time)
    if rating_threshold is not None:
        if rating is None:
            raise ValueError(
                f"'rating_threshold' needs ratings, but there is no column '{rating_field}' (there are {list(inter)})."
            )
        kept = kept[rating[kept] >= rating_threshold]
    if not len(kept):
        raise ValueError(
            f"No interaction is left (rating_threshold={rating_threshold}). Lower it, or look at the file."
        )

    user_id, user = users.ordered(kept)
    item_id, item = items.ordered(kept)
    attributes = _Items(tables["item"], item_field, item_id) if "item" in tables else None
    features, masks = attributes.features() if attributes else ({}, {})
    data = build_data(
        len(user_id),
        len(item_id),
        torch.stack([user, item]),
        features=features,
        masks=masks,
        rating=None if rating is None else torch.tensor(rating[kept], dtype=torch.float32),
        time=None if time is None else _time(time_field, time[kept]),
        user_id=user_id,
        item_id=item_id,
        title=attributes.titles() if attributes else None,
    )
    if k_core is not None:
        data = take_core(data, k_core)
    return deal(data, split, seed)


def _check_tokens(table: "pd.DataFrame", argument: str, field: str, kind: str) -> None:
    if not all(isinstance(cell, str) for cell in table[field].head(1)):
        raise CorruptFileError(
            f"'{argument}' must name a column of tokens (got '{field}', which holds numbers or sequences). Write "
            f"'{field}:token' in the header of the .{kind} file."
        )


@dataclass(frozen=True)
class _Tokens:
    """A column of tokens: each of them once, and the number of every row's token among them."""

    tokens: list[str]
    number: Column

    @classmethod
    def of(cls, column: "pd.Series[str]") -> "_Tokens":
        import pandas as pd

        number, tokens = pd.factorize(column)
        return cls(tokens.tolist(), number)

    def are(self, token: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rows hold ``token``."""
        return self.number == (self.tokens.index(token) if token in self.tokens else -1)

    def ordered(self, rows: Column) -> tuple[list[str], Tensor]:
        """The tokens of ``rows`` in order, and the place of every row's token among them."""
        number = self.number[rows]
        used = np.unique(number).tolist()
        key = int if all(self.tokens[token].isdecimal() for token in used) else str
        used.sort(key=lambda token: (key(self.tokens[token]), self.tokens[token]))
        place = np.empty(len(self.tokens), dtype=np.int64)
        place[used] = np.arange(len(used))
        return [self.tokens[token] for token in used], torch.from_numpy(place[number])


def _numbers(column: "pd.Series[Any]") -> Column:
    """Ratings or time stamps, tokens that are numbers among them."""
    try:
        return column.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise CorruptFileError(
            f"The column '{column.name}' of the .inter file must hold numbers ({error}). Read without it, by "
            "rating_field='' or time_field=''."
        ) from error


def _time(name: str, values: Column) -> Tensor:
    timeless = int((~np.isfinite(values)).sum())
    if timeless:
        raise ValueError(
            f"'{name}' is empty or infinite in {timeless:,} of {len(values):,} interactions, which have no "
            "place in time. Fill or remove these rows, or read without time stamps: time_field=''."
        )
    whole = ((values == np.floor(values)) & (np.abs(values) < 2.0**63)).all()  # beyond, no integer holds them
    return torch.tensor(values.astype(np.int64) if whole else values)


def _is_text(cell: object) -> bool:
    return isinstance(cell, str) or (isinstance(cell, list) and bool(cell) and isinstance(cell[0], str))


class _Items:
    """The ``.item`` table in the order of the item ids; an item that it does not list has empty cells."""

    def __init__(self, table: "pd.DataFrame", item_field: str, item_id: list[str]) -> None:
        if item_field not in table:
            raise CorruptFileError(f"The .item file lacks the column '{item_field}' (it has {list(table)}).")
        _check_tokens(table, "item_field", item_field, "item")  # no number is equal to a token
        self.table = table.drop_duplicates(item_field).set_index(item_field).reindex(item_id)

    def titles(self) -> list[str] | None:
        """The first column of text that is called title or name, or ends so."""
        for column in self.table:
            cells = self.table[column].tolist()
            if str(column).rpartition("_")[2] in _TITLES and any(map(_is_text, cells)):
                return [
                    " ".join(cell) if isinstance(cell, list) else cell if isinstance(cell, str) else ""
                    for cell in cells
                ]
        return None

    def features(self) -> tuple[dict[str, Float[Tensor, "I F"]], dict[str, Bool[Tensor, " I"]]]:
        """Every sequence of floats as a modality, and the mask where some items lack it."""
        features, masks = {}, {}
        for column in self.table:
            cells = self.table[column].tolist()
            present = [isinstance(cell, list) and bool(cell) and isinstance(cell[0], float) for cell in cells]
            widths = {len(cell) for cell, there in zip(cells, present, strict=True) if there}
            if not widths:
                continue
            if len(widths) > 1:
                raise CorruptFileError(
                    f"The .item column '{column}' holds vectors of different widths {sorted(widths)[:5]}."
                )
            empty = [0.0] * widths.pop()
            features[str(column)] = torch.tensor(
                [cell if there else empty for cell, there in zip(cells, present, strict=True)]
            )
            if not all(present):
                masks[str(column)] = torch.tensor(present)
        return features, masks
