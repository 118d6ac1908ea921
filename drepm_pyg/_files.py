"""Files that are written whole or not at all, and what is raised where they hold something else."""

import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NO_ARCHIVE", "NO_ARRAY", "replaced"]

#: What NumPy raises for bytes that are no array; their header is read as a line of Python.
NO_ARRAY = (ValueError, TypeError, EOFError, OSError, SyntaxError, tokenize.TokenError)
#: The same for an archive of arrays.
NO_ARCHIVE = (*NO_ARRAY, zipfile.BadZipFile, zlib.error, LookupError, RuntimeError)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path`` to write to, which becomes ``path`` at the end of the block.

    Readers see the file of before or the whole new one, and several writers do not meet. Where the block fails, what it
    wrote is removed and ``path`` stays as it was. The hidden name keeps the suffix, by which some writers go.
    """
    hidden = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
    try:
        yield hidden
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
