"""GroupLens' own MovieLens-100k archive, turned into atomic files."""

import io
import re
from pathlib import Path

from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import replaced
from drepm_pyg.data.archive import Archive

__all__ = ["convert_grouplens"]

_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_TITLE_AND_YEAR = re.compile(r"(?P<title>.*?)\s*(?:\((?P<year>\d{4})\))?\s*")


def convert_grouplens(archive: Archive, folder: Path) -> None:
    """Write ``ml-100k.inter`` and ``ml-100k.item`` from ``u.data`` and ``u.item``.

    Raises:
        CorruptFileError: one of them is missing, or a film's line is cut off.
    """
    member = {name.rpartition("/")[2]: name for name in archive.names()}
    if missing := sorted({"u.data", "u.item"} - set(member)):
        raise CorruptFileError(f"'{archive.path}' is GroupLens' archive without {missing}. Fetch it again.")
    with archive.open(member["u.data"]) as file:
        ratings = file.read().decode()
    with archive.open(member["u.item"]) as file:
        rows = [_film(line) for line in io.TextIOWrapper(file, encoding="latin-1")]
    tables = {
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ratings,
        "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + "".join(rows),
    }
    for kind, table in tables.items():
        with replaced(folder / f"ml-100k.{kind}") as file:
            file.write_text(table, encoding="utf-8")


def _film(line: str) -> str:
    cells = line.rstrip("\n").split("|", 5)
    flags = cells[-1].split("|")
    if (len(cells), len(flags)) != (6, len(_GENRES)):
        raise CorruptFileError(f"'u.item' must describe a film in every line (got {line!r}). Was it truncated?")
    item, full_title = cells[:2]
    match = _TITLE_AND_YEAR.fullmatch(full_title)
    title, year = (match["title"], match["year"] or "unknown") if match else (full_title, "unknown")
    genres = [genre for genre, flag in zip(_GENRES, flags, strict=True) if flag == "1"]
    return f"{item}\t{title}\t{year}\t{' '.join(genres)}\n"
