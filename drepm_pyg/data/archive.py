"""The files of a data set where they lie: in a directory or inside a zip (a wheel is one); nothing is extracted."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from drepm_pyg._checks import CorruptFileError

__all__ = ["Archive"]

#: What zipfile raises for a member whose bytes are damaged, or that is encrypted or packed in a way it does not know.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


@dataclass(frozen=True)
class Archive:
    """Read access to the files below a directory (``recursive=False``: directly in it) or in a zip."""

    path: Path
    recursive: bool = True

    def names(self) -> list[str]:
        """Every file, as a sorted relative path with forward slashes.

        Raises:
            FileNotFoundError: the path does not exist.
            CorruptFileError: the zip is damaged, or a member's name points outside of it.
        """
        if self.path.is_dir():
            found = self.path.rglob("*") if self.recursive else self.path.iterdir()
            return sorted(file.relative_to(self.path).as_posix() for file in found if file.is_file())
        with self._zip() as archive:
            names = sorted(name for name in archive.namelist() if not name.endswith("/"))
        unsafe = [name for name in names if _points_outside(name)]
        if unsafe:
            raise CorruptFileError(
                f"'{self.path.name}' has members that point outside of it ({unsafe[:5]}). Do not trust this file."
            )
        return names

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open one of :meth:`names` for reading.

        Raises:
            CorruptFileError: the zip is damaged (which may show in the midst of reading), or encrypted.
        """
        if self.path.is_dir():
            with (self.path / name).open("rb") as file:
                yield file
        else:
            try:
                with self._zip() as archive, archive.open(name) as file:
                    yield file
            except _UNREADABLE as error:
                raise CorruptFileError(f"'{name}' in '{self.path.name}' cannot be unpacked ({error}).") from error

    def _zip(self) -> zipfile.ZipFile:
        if not self.path.exists():
            raise FileNotFoundError(f"'{self.path}' does not exist. Pass a directory, a zip file or a wheel.")
        try:
            return zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise CorruptFileError(
                f"'{self.path.name}' is no directory, and no intact zip file or wheel ({error})."
            ) from error


def _points_outside(name: str) -> bool:
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)
