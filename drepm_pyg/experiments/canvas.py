"""What every figure shares: colours and strokes that differ in grey, axes without clutter, files written whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drepm_pyg._checks import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLORS", "HATCHES", "MARKERS", "STYLES", "canvas"]

#: Okabe and Ito's colours, which differ in lightness, too; line styles, markers and hatches say the same again.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "//", "..", "xx")


@contextmanager
def canvas(
    path: Path, *, columns: int = 1, rows: int = 1, size: tuple[float, float] | None = None
) -> "Iterator[list[Axes]]":
    """Sets of axes side by side, written when the block ends; matplotlib's global state is left alone.

    Args:
        path: a file with its suffix, or without one for a ``.png`` and a ``.svg`` beside it.
        columns: sets of axes in a row.
        rows: rows of them.
        size: width and height in inches; None: by the number of axes.

    Raises:
        MissingExtraError: where matplotlib is not installed.
    """
    require("matplotlib", extra="plot", purpose="Drawing figures")
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (6.0 if columns == 1 else 4.2 * columns, 3.7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    drawn: list[Axes] = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
    yield drawn
    path.parent.mkdir(parents=True, exist_ok=True)
    named = path.suffix in (".png", ".svg")
    files = [path] if named else [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    with rc_context({"svg.hashsalt": "drepm_pyg"}):  # equal content, equal file
        for file in files:
            figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
