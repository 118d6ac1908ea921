"""GroupLens' own MovieLens-100k archive, turned into atomic files."""

import io
import re
from pathlib import Path

from drepm_pyg.data.archive import Archive

__all__ = ["convert_grouplens"]

_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_TITLE_AND_YEAR = re.compile(r"(?P<title>.*?)\s*(?:\((?P<year>\d{4})\))?\s*")


def convert_grouplens(archive: Archive, folder: Path) -> None:
    """Write ``ml-100k.inter`` and ``ml-100k.item`` from ``u.data`` and ``u.item``."""
    member = {name.rpartition("/")[2]: name for name in archive.names()}
    with archive.open(member["u.data"]) as file:
        ratings = file.read().decode()
    (folder / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ratings, encoding="utf-8"
    )
    with archive.open(member["u.item"]) as file:
        rows = [_film(line) for line in io.TextIOWrapper(file, encoding="latin-1")]
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + "".join(rows), encoding="utf-8"
    )


def _film(line: str) -> str:
    item, full_title, *_, flags = line.rstrip("\n").split("|", 5)
    match = _TITLE_AND_YEAR.fullmatch(full_title)
    title, year = (match["title"], match["year"] or "unknown") if match else (full_title, "unknown")
    genres = [genre for genre, flag in zip(_GENRES, flags.split("|"), strict=True) if flag == "1"]
    return f"{item}\t{title}\t{year}\t{' '.join(genres)}\n"
