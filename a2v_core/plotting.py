"""One style for every figure, cells drawn as graphs, and ours beside the paper's.

Figures are vector graphics, legible in print and on a telephone, and never rely on colour alone: the palette of Okabe
and Ito is safe for colour-blind readers, and every series has its own marker as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
from a2v_core.layout import Layout, layered_layout
from a2v_core.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours by what they stand for in this study.
COLOURS = {
    "blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "vermilion": "#D55E00",
    "purple": "#CC79A7", "sky": "#56B4E9", "black": "#000000", "grey": "#7F7F7F",
}
#: Colours and markers of successive series; black is left for what the paper prints.
SERIES = tuple(zip((COLOURS[name] for name in ("blue", "orange", "green", "vermilion", "purple", "sky")),
                   "osD^vP", strict=True))
#: Inches of a figure that is as wide as the text, so that its letters keep their size.
TEXT_WIDTH = 7.4
#: Two scales of accuracy: low to high, and a difference around zero.
SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"

_STYLE = {
    "figure.figsize": (6.4, 3.6), "figure.dpi": 110, "figure.constrained_layout.use": True,
    "font.size": 11, "axes.titlesize": 12, "axes.labelsize": 11, "legend.fontsize": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "grid.linewidth": 0.8, "lines.linewidth": 1.8, "lines.markersize": 6,
    "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "a2v_core",
}
#: Short names of operations on a drawn node; what is not here is drawn as it is called.
SHORT_NAMES = {
    "input": "in", "output": "out", "conv1x1-bn-relu": "1x1", "conv3x3-bn-relu": "3x3", "maxpool3x3": "MP",
    "nor_conv_1x1": "1x1", "nor_conv_3x3": "3x3", "avg_pool_3x3": "AP", "skip_connect": "skip", "none": "zero",
    "max_pool_3x3": "MP", "sep_conv_3x3": "sep3", "sep_conv_5x5": "sep5", "dil_conv_3x3": "dil3",
    "dil_conv_5x5": "dil5", "c_k-2": "k-2", "c_k-1": "k-1", "c_k": "out",
}
_CHANGED = {"facecolor": "#FFF3E0", "edgecolor": COLOURS["vermilion"], "linewidth": 2.2}
_UNCHANGED = {"facecolor": "#FFFFFF", "edgecolor": "#444444", "linewidth": 1.0}
# Of drawn cells: inches a unit of the layout, inches of a row that stays legible on a telephone, units from the middle
# of a node to its border.
_UNIT, _ROW, _BOX = 0.46, 5.6, 0.26


def use_style() -> None:
    """Apply the style to all later figures of this process, and vector graphics (SVG) in a notebook."""
    import seaborn as sns

    sns.set_theme(context="notebook", style="whitegrid", palette=[colour for colour, _ in SERIES], rc=_STYLE)
    from IPython import get_ipython

    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # A fixed date and salt make the same numbers give the same bytes.
        set_matplotlib_formats("svg", metadata={"Date": None})


def changed_nodes(first: Cells, second: Cells) -> np.ndarray:
    """Rows whose operation differs between two cells of one space (each a batch of one), bool [N].

    A row that is a node in one cell only counts as changed.

    Raises:
        SettingsError: not two single cells with equally many rows.
    """
    if len(first) != 1 or len(second) != 1 or first.ops.shape != second.ops.shape:
        raise SettingsError(f"changes are between two single cells of one space, got operations of shapes "
                            f"{first.ops.shape} and {second.ops.shape}")
    return first.ops[0] != second.ops[0]


def draw_cell(
    cell: Cells,
    vocabulary: Sequence[str],
    ax: Axes | None = None,
    changed: np.ndarray | None = None,
    title: str = "",
    new_edges: np.ndarray | None = None,
    caption: str = "",
) -> Axes:
    """Draw one cell as a graph, input on top; padded rows are left out.

    Args:
        cell: a batch of one.
        vocabulary: names of the operations by code.
        ax: where to draw; a new figure otherwise.
        changed: bool [N], nodes to mark with a heavy vermilion border and an asterisk (:func:`changed_nodes`).
        title: above the drawing.
        new_edges: bool [N, N], edges to mark as heavy vermilion dashes.
        caption: below the drawing.

    Raises:
        SettingsError: not one cell, or an operation without a name.
    """
    import matplotlib.pyplot as plt

    if len(cell) != 1:
        raise SettingsError(f"draw_cell draws one cell, got {len(cell)}: use draw_cells")
    rows = np.flatnonzero(cell.ops[0] != PAD)
    ops, layout = cell.ops[0][rows], _layout(cell)
    if rows.size and ops.max() >= len(vocabulary):
        raise SettingsError(f"operation code {ops.max()} has no name among the {len(vocabulary)} of the vocabulary")
    marked = np.zeros(rows.size, dtype=bool) if changed is None else np.asarray(changed)[rows]
    new = np.zeros((rows.size,) * 2, bool) if new_edges is None else np.asarray(new_edges)[np.ix_(rows, rows)]
    width, height = _extent(layout)
    ax = plt.subplots(figsize=(width * _UNIT, height * _UNIT + 0.3))[1] if ax is None else ax
    for edge, route in layout.routes.items():
        _draw_edge(ax, route, bool(new[edge]))
    for position, op, mark in zip(layout.positions, ops, marked, strict=True):
        name = vocabulary[op]
        ax.text(*position, SHORT_NAMES.get(name, name) + ("*" if mark else ""), ha="center", va="center", fontsize=8,
                zorder=2, bbox={"boxstyle": "round,pad=0.3", **(_CHANGED if mark else _UNCHANGED)})
    ax.set_xlim(-width / 2, width / 2)
    ax.set_ylim(0.5 - height, 0.5)
    ax.set_title(title, fontsize=9)
    if caption:
        ax.text(0.5, -0.02, caption, transform=ax.transAxes, ha="center", va="top", fontsize=9)
    ax.set_axis_off()
    return ax


def draw_cells(
    cells: Cells,
    vocabulary: Sequence[str],
    titles: Sequence[str] = (),
    mark_changes: bool = True,
    columns: int | None = None,
    changes: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    captions: Sequence[str] = (),
) -> Figure:
    """Draw a sequence of cells in rows; what differs from the cell before is marked. All are drawn to one scale.

    Args:
        cells: M cells of one space.
        vocabulary: names of the operations by code.
        titles, captions: above and below each drawing; one a cell or none.
        mark_changes: mark changes at all.
        columns: cells in a row; as many as a telephone shows legibly when None.
        changes: nodes and edges of each cell but the first that are new against the cell before, bool [N] and [N, N];
            rows are compared (:func:`changed_nodes`) when empty.

    Raises:
        SettingsError: no cell, or titles, captions or changes are not one a cell.
    """
    import matplotlib.pyplot as plt

    m = len(cells)
    if not m or any(given and len(given) != wanted for given, wanted in ((titles, m), (captions, m), (changes, m - 1))):
        raise SettingsError(f"{m} cells with {len(titles)} titles, {len(captions)} captions and {len(changes)} "
                            "changes: give at least one cell, a title and a caption for each or none, and changes for "
                            "each but the first")
    extents = [_extent(_layout(cells[i])) for i in range(m)]
    width = max(width for width, _ in extents)
    columns = min(m, columns or max(1, int(_ROW / (width * _UNIT))))
    rows = -(-m // columns)
    heights = [max(height for _, height in extents[i:i + columns]) for i in range(0, m, columns)]
    size = (width * _UNIT * columns, sum(heights) * _UNIT + rows * 0.25 * (1 + bool(captions)))
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=size, height_ratios=heights)
    for ax in axes.flat[m:]:
        ax.set_axis_off()
    for i in range(m):
        nodes, edges = None, None
        if mark_changes and i:
            nodes, edges = changes[i - 1] if changes else (changed_nodes(cells[i - 1], cells[i]), None)
        ax = draw_cell(cells[i], vocabulary, axes.flat[i], nodes, titles[i] if titles else "", edges,
                       captions[i] if captions else "")
        ax.set(xlim=(-width / 2, width / 2), ylim=(0.5 - heights[i // columns], 0.5))
    return figure


def _layout(cell: Cells) -> Layout:
    rows = np.flatnonzero(cell.ops[0] != PAD)
    return layered_layout(cell.adjacency[0][np.ix_(rows, rows)])


def _extent(layout: Layout) -> tuple[float, float]:
    """Width and height of a drawing in units of the layout, its nodes' boxes included."""
    points = np.concatenate([layout.positions, *layout.routes.values()])
    if not len(points):
        return 1.0, 1.0
    return 2 * float(np.abs(points[:, 0]).max()) + 1.0, 1.0 - float(points[:, 1].min())


def _draw_edge(ax: Axes, route: np.ndarray, new: bool) -> None:
    """An arrow along a route that leaves, passes and arrives vertically."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points = route.copy()
    points[0, 1] -= _BOX
    points[-1, 1] += _BOX
    vertices = [points[0]]
    for a, b in itertools.pairwise(points):
        middle = (a[1] + b[1]) / 2
        vertices += [(a[0], middle), (b[0], middle), b]
    path = Path(vertices, [Path.MOVETO, *[Path.CURVE4] * (len(vertices) - 1)])
    style = {"color": COLOURS["vermilion"], "linewidth": 1.8, "linestyle": (0, (4, 1.5))} if new else {
        "color": "#444444", "linewidth": 0.9}
    ax.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=8, zorder=1, **style))


def panel_grid(n: int, columns: int, height: float, more: float = 0.0, width: float = TEXT_WIDTH, **options: Any
               ) -> tuple[Figure, list[Axes]]:
    """A figure with n panels in rows of `columns`; what is left of the last row is blank.

    Args:
        height: of a row, inches.
        more: height for what is outside of the panels, inches.
        width: of the figure, inches.
        options: as of ``matplotlib.pyplot.subplots``.
    """
    import matplotlib.pyplot as plt

    rows = -(-n // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(width, height * rows + more), squeeze=False, **options)
    for ax in grid.flat[n:]:
        ax.set_axis_off()
    return figure, list(grid.flat[:n])


def legend_below(figure: Figure, columns: int | None = None) -> None:
    """One legend for all panels, each name once; in one row unless `columns` are given."""
    handles = {label: handle for ax in figure.axes
               for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns or len(handles))


def plot_intervals(
    ours: dict[str, dict[str, Estimate]],
    paper: dict[str, float] | None = None,
    xlabel: str = "",
    title: str = "",
    ax: Axes | None = None,
    names: Sequence[str] = (),
) -> Axes:
    """Our estimates as dots with intervals and the paper's values as black crosses, one row a name.

    Args:
        ours: series (a recipe, a definition) → name → estimate; a name may be absent from a series.
        paper: name → the paper's value.
        xlabel: quantity and unit.
        title: above the plot.
        ax: where to draw; a new figure otherwise.
        names: the rows from top to bottom, for panels that share them; in order of appearance when empty.

    Raises:
        SettingsError: a name has no row, nothing to draw, or more series than there are markers.
    """
    import matplotlib.pyplot as plt

    paper = paper or {}
    found = list(dict.fromkeys(name for series in (*ours.values(), paper) for name in series))
    names = list(names) or found
    if lost := [name for name in found if name not in names]:
        raise SettingsError(f"no row for {lost[0]!r}: the rows are {', '.join(names)}")
    if not names or len(ours) > len(SERIES):
        raise SettingsError(f"{len(names)} names in {len(ours)} series: give at least one name and at most "
                            f"{len(SERIES)} series")
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 0.8 + 0.32 * len(names) * max(1, len(ours)) ** 0.5))[1]
    offsets = np.linspace(-0.22, 0.22, len(ours)) if len(ours) > 1 else np.zeros(len(ours))
    for (series, estimates), offset, (colour, marker) in zip(ours.items(), offsets, SERIES, strict=False):
        rows = [names.index(name) + offset for name in estimates]
        values, lows, highs = (np.array([estimate[k] for estimate in estimates.values()]) for k in range(3))
        ax.errorbar(values, rows, xerr=(values - lows, highs - values), fmt=marker, color=colour, capsize=3,
                    label=series)
    if paper:
        ax.plot(list(paper.values()), [names.index(name) for name in paper], "x", color=COLOURS["black"], markersize=8,
                markeredgewidth=2, linestyle="none", label="paper", zorder=3)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=xlabel, title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax
