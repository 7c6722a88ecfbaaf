"""One style for every figure, cells drawn as graphs, and ours beside the paper's.

Figures are vector graphics, legible in print and on a telephone, and never rely on colour alone: the palette of Okabe
and Ito is safe for colour-blind readers, and every series has its own marker as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
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


def cell_layout(adjacency: np.ndarray) -> np.ndarray:
    """Positions of the nodes of a DAG, float [n, 2]: one layer for each step of the longest path from an input, the
    inputs on top (y = 0), layers one unit apart, nodes of a layer side by side, one unit apart and centred.

    Args:
        adjacency: [n, n], 1 where row i feeds column j.

    Raises:
        SettingsError: the graph has a cycle.
    """
    import networkx as nx

    graph = nx.from_numpy_array(np.asarray(adjacency), create_using=nx.DiGraph)
    if not nx.is_directed_acyclic_graph(graph):
        raise SettingsError("a graph with a cycle has no layers: draw cells, which have none")
    positions = np.zeros((len(adjacency), 2))
    for depth, layer in enumerate(nx.topological_generations(graph)):
        for slot, node in enumerate(sorted(layer)):
            positions[node] = slot - (len(layer) - 1) / 2, -depth
    return positions


def draw_cell(
    cell: Cells,
    vocabulary: Sequence[str],
    ax: Axes | None = None,
    changed: np.ndarray | None = None,
    title: str = "",
) -> Axes:
    """Draw one cell as a graph, input on top; padded rows are left out.

    Args:
        cell: a batch of one.
        vocabulary: names of the operations by code.
        ax: where to draw; a new figure otherwise.
        changed: bool [N], nodes to mark with a heavy vermilion border and an asterisk (:func:`changed_nodes`).
        title: above the drawing.

    Raises:
        SettingsError: not one cell, or an operation without a name.
    """
    import matplotlib.pyplot as plt

    if len(cell) != 1:
        raise SettingsError(f"draw_cell draws one cell, got {len(cell)}: use draw_cells")
    rows = np.flatnonzero(cell.ops[0] != PAD)
    ops, adjacency = cell.ops[0][rows], cell.adjacency[0][np.ix_(rows, rows)]
    if rows.size and ops.max() >= len(vocabulary):
        raise SettingsError(f"operation code {ops.max()} has no name among the {len(vocabulary)} of the vocabulary")
    marked = np.zeros(rows.size, dtype=bool) if changed is None else np.asarray(changed)[rows]
    ax = plt.subplots(figsize=(2.0, 3.2))[1] if ax is None else ax
    positions = cell_layout(adjacency)
    for i, j in np.argwhere(adjacency):
        # An edge over several layers bends, or it would be hidden by the nodes between.
        span = positions[i, 1] - positions[j, 1]
        ax.annotate("", xy=positions[j], xytext=positions[i], zorder=1, arrowprops={
            "arrowstyle": "-|>", "color": "#444444", "linewidth": 0.9, "shrinkA": 9, "shrinkB": 9,
            "connectionstyle": f"arc3,rad={0.0 if span <= 1 else 0.3 * (1 if (i + j) % 2 else -1)}"})
    for position, op, mark in zip(positions, ops, marked, strict=True):
        name = vocabulary[op]
        ax.text(*position, SHORT_NAMES.get(name, name) + ("*" if mark else ""), ha="center", va="center", fontsize=8,
                zorder=2, bbox={"boxstyle": "round,pad=0.3", **(_CHANGED if mark else _UNCHANGED)})
    if rows.size:
        ax.set_xlim(positions[:, 0].min() - 0.6, positions[:, 0].max() + 0.6)
        ax.set_ylim(positions[:, 1].min() - 0.5, positions[:, 1].max() + 0.5)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()
    return ax


def draw_cells(
    cells: Cells, vocabulary: Sequence[str], titles: Sequence[str] = (), mark_changes: bool = True, columns: int = 8
) -> Figure:
    """Draw a sequence of cells in rows of `columns`; what differs from the cell before is marked.

    Raises:
        SettingsError: no cell, or the titles are not one a cell.
    """
    import matplotlib.pyplot as plt

    if not len(cells) or (titles and len(titles) != len(cells)):
        raise SettingsError(f"{len(cells)} cells with {len(titles)} titles: give at least one cell, and a title for "
                            "each or none")
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.7 * columns, 2.6 * rows), squeeze=False)
    for ax in axes.flat[len(cells):]:
        ax.set_axis_off()
    for i in range(len(cells)):
        changed = changed_nodes(cells[i - 1], cells[i]) if mark_changes and i else None
        draw_cell(cells[i], vocabulary, axes.flat[i], changed, titles[i] if titles else "")
    return figure


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
