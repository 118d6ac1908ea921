"""Draw the figures of DRepMRec: python docs/figures/draw.py [folder]. Each comes in a light and a dark form."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle


@dataclass(frozen=True)
class Palette:
    """The colours of one theme; ``page`` is the background that the figure will stand on."""

    name: str
    page: str
    ink: str
    faint: str
    behavior: str
    modal: str
    align: str
    goal: str
    fill: float

    def tint(self, color: str) -> tuple[float, ...]:
        """A quiet fill of the colour, mixed into the page."""
        mixed = self.fill * np.array(mpl.colors.to_rgb(color)) + (1 - self.fill) * np.array(
            mpl.colors.to_rgb(self.page)
        )
        return tuple(mixed)

    def scale(self, color: str) -> LinearSegmentedColormap:
        """From the page to the colour."""
        return LinearSegmentedColormap.from_list("scale", [self.tint(self.faint), color])

    def diverging(self) -> LinearSegmentedColormap:
        """From the behaviour colour over the page to the modal colour."""
        return LinearSegmentedColormap.from_list("diverging", [self.goal, self.page, self.behavior])


LIGHT = Palette("light", "#ffffff", "#1f2933", "#6b7785", "#2867b2", "#c4501b", "#1d8a6b", "#7a4fb5", 0.10)
DARK = Palette("dark", "#131416", "#e4e7eb", "#93a0ad", "#6cb0f5", "#f79a63", "#5fd0ab", "#bd9cf0", 0.16)

plt_settings = {
    "svg.fonttype": "path",
    "svg.hashsalt": "drepm_pyg",
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 11.5,
}


class Canvas:
    """A page in units of a tenth of an inch, y upwards."""

    def __init__(self, palette: Palette, width: float, height: float) -> None:
        self.palette = palette
        self.figure = Figure(figsize=(width / 10, height / 10))
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def text(self, x: float, y: float, text: str, color: str | None = None, **style: Any) -> None:
        style = {"ha": "center", "va": "center", **style}
        self.axes.text(x, y, text, color=color or self.palette.ink, **style)

    def box(self, x: float, y: float, width: float, height: float, color: str, text: str = "", **style: Any) -> None:
        """A rounded box with its lower left corner at (x, y)."""
        shape = FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=1.1",
            lw=1.3,
            ec=color,
            fc=self.palette.tint(color),
        )
        self.axes.add_patch(shape)
        if text:
            self.text(x + width / 2, y + height / 2, text, **style)

    def lane(
        self, x: float, y: float, width: float, height: float, color: str, title: str, *, inset: float = 1.4
    ) -> None:
        """A quiet region with its title at the top, ``inset`` from the left."""
        shape = FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0,rounding_size=1.6", lw=1.0, ec=color, fc="none", ls=(0, (4, 3))
        )
        self.axes.add_patch(shape)
        self.text(x + inset, y + height - 2.1, title, color, ha="left", weight="bold")

    def arrow(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        color: str | None = None,
        *,
        bend: float = 0.0,
        both: bool = False,
        dashed: bool = False,
    ) -> None:
        self.axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="<|-|>" if both else "-|>",
                mutation_scale=11,
                lw=1.4,
                color=color or self.palette.ink,
                ls=(0, (3, 2)) if dashed else "-",
                connectionstyle=f"arc3,rad={bend}",
                shrinkA=1,
                shrinkB=1,
            )
        )

    def elbow(self, points: list[tuple[float, float]], color: str | None = None, *, dashed: bool = False) -> None:
        """A line through ``points`` whose last leg is an arrow."""
        xs, ys = zip(*points[:-1], strict=True)
        ls = (0, (3, 2)) if dashed else "-"
        self.axes.plot(xs, ys, color=color or self.palette.ink, lw=1.4, ls=ls, solid_joinstyle="round")
        self.arrow(points[-2], points[-1], color, dashed=dashed)

    def cells(
        self, x: float, y: float, values: np.ndarray, cmap: Any, limits: tuple[float, float], size: float = 2.0
    ) -> None:
        """A matrix of coloured cells, its lower left corner at (x, y), row 0 on top."""
        rows, columns = values.shape
        norm = mpl.colors.Normalize(*limits)
        for row in range(rows):
            for column in range(columns):
                corner = (x + column * size, y + (rows - 1 - row) * size)
                color = cmap(norm(values[row, column]))
                self.axes.add_patch(Rectangle(corner, size, size, fc=color, ec=self.palette.page, lw=0.7))
        self.axes.add_patch(Rectangle((x, y), columns * size, rows * size, fc="none", ec=self.palette.faint, lw=1.0))

    def save(self, folder: Path, name: str) -> None:
        path = folder / f"{name}-{self.palette.name}.svg"
        self.figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})


def architecture(palette: Palette) -> Canvas:
    """The two lines, their alignment, and what they are trained for (the paper's Figure 2)."""
    p, c = palette, Canvas(palette, 92, 68)
    small = {"fontsize": 9.5}

    c.lane(16, 42, 47, 21, p.behavior, "Behaviour line")
    c.box(1, 47, 13, 9, p.faint, "interactions\n$R$")
    c.box(18, 47, 12, 9, p.behavior, "ID tables\n$E_B^0$")
    c.box(33.5, 47, 12, 9, p.behavior, "LightGCN\n$L = 2$")
    c.box(49, 47, 12, 9, p.behavior, "mean over\nlayers")
    c.text(39.5, 44.6, "Eq. 1-2", p.faint, **small)
    c.text(55, 44.6, "Eq. 3", p.faint, **small)
    c.arrow((30, 51.5), (33.5, 51.5), p.behavior)
    c.arrow((45.5, 51.5), (49, 51.5), p.behavior)
    c.elbow([(7.5, 56), (7.5, 58.4), (39.5, 58.4), (39.5, 56)], p.faint)

    c.lane(16, 11.5, 47, 21, p.modal, "Modal line, for each modality $m$", inset=11.5)
    c.box(1, 17, 13, 9, p.faint, "raw features\n$E_m$")
    c.box(18, 17, 12, 9, p.modal, "filter\ngate")
    c.box(33.5, 17, 12, 9, p.modal, "similarity\ngraphs $\\tilde S_m$")
    c.box(49, 17, 12, 9, p.modal, "weighted\nsum $\\alpha_m$")
    c.text(24, 14.6, "Eq. 4", p.faint, **small)
    c.text(39.5, 14.6, "Eq. 5-6, frozen", p.faint, **small)
    c.text(55, 14.6, "Eq. 7", p.faint, **small)
    c.text(7.5, 28.8, "users: mean of\ntheir items", p.faint, **small)
    c.arrow((14, 21.5), (18, 21.5), p.modal)
    c.arrow((30, 21.5), (33.5, 21.5), p.modal)
    c.arrow((45.5, 21.5), (49, 21.5), p.modal)
    c.arrow((24, 47), (24, 26), p.behavior)
    c.text(25, 37.2, "the same $E_B^0$ feeds the gate", p.behavior, ha="left", **small)

    c.lane(65.5, 1, 14, 66, p.align, "BMA")
    c.box(67, 47, 11, 9, p.behavior, "$\\bar E_B^u\\ \\ \\bar E_B^i$", fontsize=12.5)
    c.box(67, 17, 11, 9, p.modal, "$\\bar E_M^u\\ \\ \\bar E_M^i$", fontsize=12.5)
    c.arrow((61, 51.5), (67, 51.5), p.behavior)
    c.arrow((61, 21.5), (67, 21.5), p.modal)
    for y, height, label in (
        (58.4, 4, "intra, Eq. 8"),
        (33.5, 6, "inter\nEq. 11"),
        (10.6, 4, "intra, Eq. 9"),
        (3.6, 4, "SSS, Eq. 12"),
    ):
        c.box(67, y, 11, height, p.align, label, fontsize=10)
    c.arrow((72.5, 47), (72.5, 39.5), p.align, both=True)
    c.arrow((72.5, 26), (72.5, 33.5), p.align, both=True)
    for start, end in ((56, 58.4), (14.6, 17), (7.6, 10.6)):
        c.axes.plot([72.5, 72.5], [start, end], color=p.align, lw=1.4)
    c.elbow([(7.5, 17), (7.5, 5.6), (67, 5.6)], p.faint, dashed=True)
    c.text(39.5, 7.3, "who is similar to whom, without gradient", p.faint, **small)

    c.box(81.5, 28.5, 9.7, 16, p.goal)
    c.text(86.35, 41.2, "$E_G =$", fontsize=11)
    c.text(86.35, 38, "$\\bar E_B + \\bar E_M$", fontsize=11)
    c.text(86.35, 33.2, "BPR\nEq. 13-14", p.goal, fontsize=10)
    c.elbow([(78, 51.5), (86.35, 51.5), (86.35, 44.5)], p.goal)
    c.elbow([(78, 21.5), (86.35, 21.5), (86.35, 28.5)], p.goal)
    return c


def gate(palette: Palette) -> Canvas:
    """What the filter gate does to one row, with real numbers (the paper's Figure 3)."""
    p, c = palette, Canvas(palette, 92, 36)
    rng = np.random.default_rng(5)
    raw, weight, bias = rng.standard_normal((1, 14)), rng.standard_normal((14, 8)) / 2.2, np.zeros(8)
    identity = 1.3 * rng.standard_normal((1, 8))
    projected = raw @ weight + bias
    opened = 1 / (1 + np.exp(-projected))
    diverging, warm = p.diverging(), p.scale(p.modal)

    c.cells(2, 22, raw.reshape(2, 7), diverging, (-2.4, 2.4))
    c.text(2, 28.4, "raw $e_m$, $F$ wide", p.ink, ha="left")
    c.box(20.5, 20, 15, 8, p.modal, "$e_m W_m + b_m$")
    c.cells(40, 23, projected, diverging, (-2.4, 2.4))
    c.text(48, 28.4, "projected, $D$ wide")
    c.box(61, 20.5, 7, 7, p.modal, "$\\sigma$", fontsize=15)
    c.cells(72.5, 23, opened, warm, (0, 1))
    c.text(80.5, 28.4, "gate: 0 closed, 1 open", p.modal)
    c.arrow((16, 24), (20.5, 24), p.modal)
    c.arrow((35.5, 24), (40, 24), p.modal)
    c.arrow((56, 24), (61, 24), p.modal)
    c.arrow((68, 24), (72.5, 24), p.modal)

    c.cells(40, 6.5, identity, diverging, (-1.6, 1.6))
    c.text(48, 3.5, "ID embedding $e_B$", p.behavior)
    c.box(61, 4, 7, 7, p.align, "$\\odot$", fontsize=15)
    c.cells(72.5, 6.5, opened * identity, diverging, (-1.6, 1.6))
    c.text(80.5, 3.5, "filtered $\\hat e_m = $ gate $\\odot\\, e_B$", p.ink)
    c.arrow((56, 7.5), (61, 7.5), p.behavior)
    c.arrow((68, 7.5), (72.5, 7.5), p.align)
    c.elbow([(80.5, 23), (80.5, 15.5), (64.5, 15.5), (64.5, 11)], p.modal)

    c.text(2, 33.6, "One row through the gate of modality $m$ (Eq. 4)", p.ink, ha="left", weight="bold")
    c.text(2, 12.2, "Users and items share $W_m, b_m$.", p.ink, ha="left", fontsize=10.5)
    c.text(2, 8.6, "A user's row is the mean of its items':", p.ink, ha="left", fontsize=10.5)
    c.text(2, 5.0, "$(P X)\\, W = P\\, (X W)$, so only", p.ink, ha="left", fontsize=10.5)
    c.text(2, 1.9, "$D$ columns are ever averaged.", p.ink, ha="left", fontsize=10.5)
    return c


def sss(palette: Palette) -> Canvas:
    """The similarity-supervised signal on a batch of six items, with real numbers (the paper's Figure 4)."""
    p, c = palette, Canvas(palette, 92, 38)
    rng = np.random.default_rng(3)
    topics = np.repeat(np.eye(3), 2, axis=0)

    def gram(x: np.ndarray) -> np.ndarray:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return x @ x.T

    image = gram(np.hstack([topics, 0.45 * rng.standard_normal((6, 5))]))
    text = gram(np.hstack([topics, 0.25 * rng.standard_normal((6, 5))]))
    modal = gram(np.hstack([topics, 0.8 * rng.standard_normal((6, 4))]))
    target = 0.3 * image + 0.7 * text
    gap = (modal - target) ** 2
    warm, cool, limits = p.scale(p.modal), p.scale(p.align), (-0.35, 1.0)
    size = 2.3
    side = 6 * size

    c.text(1.5, 35.8, "Six items of a batch: who is similar to whom (Eq. 12)", p.ink, ha="left", weight="bold")
    top, low = 17.0, 1.2
    c.cells(1.5, top, image, warm, limits, 1.9)
    c.text(1.5 + 5.7, top + 13.2, "image: $\\cos(x_V)$", p.modal, fontsize=10.5)
    c.cells(1.5, low, text, warm, limits, 1.9)
    c.text(1.5 + 5.7, low + 13.2, "text: $\\cos(x_T)$", p.modal, fontsize=10.5)

    middle = 10.5
    c.cells(25.5, middle, target, warm, limits, size)
    c.text(25.5 + side / 2, middle + side + 2.6, "target: $\\sum_m \\alpha_m \\cos_m$", p.modal, fontsize=10.5)
    c.text(25.5 + side / 2, middle - 2.2, "no gradient: $\\mathrm{sg}(\\cdot)$", p.faint, fontsize=10)
    c.arrow((13.4, top + 4.5), (25, middle + side * 0.62), p.modal)
    c.arrow((13.4, low + 7.5), (25, middle + side * 0.38), p.modal)
    c.text(19.0, 24.6, "$\\times\\,0.3$", p.modal, fontsize=10)
    c.text(19.0, 9.2, "$\\times\\,0.7$", p.modal, fontsize=10)

    c.text(25.5 + side + 3.4, middle + side / 2, "$-$", fontsize=18)
    c.cells(46.2, middle, modal, cool, limits, size)
    c.text(46.2 + side / 2, middle + side + 1.9, "modal rows: $\\cos(\\bar E_M)$", p.align, fontsize=10.5)
    c.text(46.2 + side / 2, middle - 2.2, "the gradient goes here", p.align, fontsize=10)

    c.arrow((46.2 + side + 1.5, middle + side / 2), (67.5, middle + side / 2))
    c.cells(68.6, middle, gap, p.scale(p.goal), (0, 0.5), size)
    c.text(68.6 + side / 2, middle + side + 1.9, "squared gap", p.goal, fontsize=10.5)
    c.text(68.6 + side / 2, middle - 2.2, f"mean: $\\mathcal{{L}}_{{SSS}} = {gap.mean():.3f}$", p.goal, fontsize=10.5)
    c.text(57, 2.6, "users likewise, on the mean features of their items", p.faint, fontsize=10)
    return c


def main() -> None:
    """Write every figure in both forms."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    with mpl.rc_context(plt_settings):
        for palette in (LIGHT, DARK):
            for draw in (architecture, gate, sss):
                draw(palette).save(folder, draw.__name__)


if __name__ == "__main__":
    main()
