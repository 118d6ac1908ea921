"""The metrics of a run as a plain CSV file, one row per epoch."""

import csv
from pathlib import Path
from typing import Any

from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import replaced

__all__ = ["MetricsFile", "read_metrics", "read_numbers"]


def read_metrics(path: str | Path) -> list[dict[str, str]]:
    """The rows of a metrics file, none where there is no file."""
    path = Path(path)
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_numbers(path: str | Path) -> list[dict[str, float]]:
    """The rows of :func:`read_metrics` as numbers, each without the columns that it has no value in."""
    return [{name: float(value) for name, value in row.items() if value} for row in read_metrics(path)]


class MetricsFile:
    """Rows are written whole and at once: a killed run leaves a readable file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def start(self, epoch: int) -> None:
        """Keep the rows of the epochs before ``epoch``, as a resumed run repeats the others.

        Raises:
            CorruptFileError: where they are not all there.
        """
        whole = self.path.exists() and self.path.read_bytes().endswith(b"\n")  # the end of every row
        try:
            self.rows = [row for row in read_metrics(self.path) if int(row["epoch"]) < epoch] if whole else []
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(
                f"'{self.path}' must have a column 'epoch' of whole numbers ({error!r}). Put it back as it was, delete "
                "the folder, or choose another 'name'."
            ) from error
        if len(self.rows) < epoch:
            raise CorruptFileError(
                f"'{self.path}' must have a row for each of the {epoch} epochs that are done (it is missing or "
                "truncated). Put it back, delete the folder, or choose another 'name'."
            )

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch."""
        self.rows.append(row)
        names = list(dict.fromkeys(name for entry in self.rows for name in entry))
        with replaced(self.path) as whole, whole.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
