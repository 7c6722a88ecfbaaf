"""The figures of Appendix A: a cell as it is defined, as a graph of operations, and as its two matrices (Figs. 7-9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
from a2v_core.identifiability import Classes, Distances
from a2v_core.plotting import COLOURS, SEQUENTIAL, SERIES, SHORT_NAMES, draw_cell
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.darts_genotypes import Genotype
from a2v_core.spaces.nasbench201 import SOURCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: An edge of a cell whose operations sit on its edges: from, to, operation ("" where nothing is applied).
LabelledEdge = tuple[str, str, str]

_NASBENCH201_PLACES = {"0": (0.0, 0.0), "1": (2.0, 2.2), "2": (2.0, 0.8), "3": (4.0, 0.0)}
# Off every straight line between two other states.
_DARTS_PLACES = {"k-2": (0.0, 1.2), "k-1": (0.0, -1.2), "0": (1.9, 2.0), "1": (3.5, -1.9), "2": (4.3, -0.1),
                 "3": (6.2, 1.3), "out": (8.0, 0.0)}


def encoding_figure(space: SearchSpace, cell: Cells) -> Figure:
    """The graph of one cell beside its adjacency and operation matrices.

    Raises:
        SettingsError: not exactly one cell.
    """
    import matplotlib.pyplot as plt

    if len(cell) != 1:
        raise SettingsError(f"a figure shows one cell, got {len(cell)}: pass cells[i]")
    n, k = space.n_nodes, len(space.vocabulary)
    figure, axes = plt.subplots(1, 3, figsize=(0.34 * (2 * n + k) + 1.6, 1.3 + 0.34 * n),
                                width_ratios=(0.34 * n, 0.34 * n + 0.8, 0.34 * k + 0.8))
    draw_cell(cell, space.vocabulary, axes[0], title="operations as nodes")
    names = [f"{row} {_short(space.vocabulary[op]) if op != PAD else '(pad)'}" for row, op in enumerate(cell.ops[0])]
    draw_matrix(cell.adjacency[0], names, [str(column) for column in range(n)], axes[1], "adjacency matrix")
    draw_matrix(cell.one_hot(k)[0], names, [_short(name) for name in space.vocabulary], axes[2], "operation matrix")
    return figure


def draw_matrix(matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str], ax: Axes, title: str = "") -> Axes:
    """A 0/1 matrix with its entries written out, ones on colour.

    Raises:
        SettingsError: not one name a row and a column.
    """
    if matrix.shape != (len(rows), len(columns)):
        raise SettingsError(f"a matrix of shape {matrix.shape} with {len(rows)} row and {len(columns)} column names: "
                            "give one name each")
    from matplotlib.colors import ListedColormap

    ax.imshow(matrix, cmap=ListedColormap(["#FFFFFF", COLOURS["sky"]]), vmin=0, vmax=1)
    for i, j in np.ndindex(matrix.shape):
        ax.text(j, i, int(matrix[i, j]), ha="center", va="center", fontsize=8,
                color=COLOURS["black"] if matrix[i, j] else "#999999")
    upright = all(len(name) <= 2 for name in columns)
    ax.set_xticks(range(len(columns)), columns, fontsize=8, rotation=0 if upright else 60,
                  ha="center" if upright else "left", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows, fontsize=8)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.set_xticks(np.arange(len(columns)) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(rows)) - 0.5, minor=True)
    ax.grid(visible=False)
    ax.grid(which="minor", color="#DDDDDD", linewidth=0.6)
    ax.tick_params(which="minor", length=0)
    ax.set_xlabel(title, fontsize=9)
    return ax


def nasbench201_edges(cell: str) -> list[LabelledEdge]:
    """The six edges of an architecture string in its order."""
    operations = iter(field.split("~")[0] for field in cell.replace("+", "").split("|") if field)
    return [(str(source), str(target), next(operations)) for target, sources in enumerate(SOURCES, 1)
            for source in sources]


def darts_edges(genotype: Genotype) -> list[LabelledEdge]:
    """The eight edges of a genotype, then those of the concatenation that is the cell's output."""
    states = ("k-2", "k-1", "0", "1", "2", "3")
    edges = [(states[source], states[2 + i // 2], operation) for i, (operation, source) in enumerate(genotype.edges)]
    return [*edges, *((state, "out", "") for state in states[2:])]


def draw_operations_on_edges(edges: Sequence[LabelledEdge], title: str = "", ax: Axes | None = None) -> Axes:
    """A cell of NAS-Bench-201 or DARTS as its benchmark defines it: states as nodes, operations on the edges.

    Raises:
        SettingsError: a state is of neither space.
    """
    import matplotlib.pyplot as plt

    places = next((places for places in (_NASBENCH201_PLACES, _DARTS_PLACES)
                   if {end for edge in edges for end in edge[:2]} <= places.keys()), None)
    if places is None:
        raise SettingsError(f"states {sorted({end for edge in edges for end in edge[:2]})} belong to no known cell: "
                            "use nasbench201_edges or darts_edges")
    ax = plt.subplots(figsize=_size(places))[1] if ax is None else ax
    for source, target, operation in edges:
        start, end = np.array(places[source]), np.array(places[target])
        ax.annotate("", xy=end, xytext=start, zorder=1, arrowprops={
            "arrowstyle": "-|>", "shrinkA": 11, "shrinkB": 11, "linewidth": 1.1 if operation else 0.8,
            "linestyle": "-" if operation else ":", "color": "#444444" if operation else COLOURS["grey"]})
        if operation:
            ax.text(*(start + 0.5 * (end - start)), _short(operation), ha="center", va="center", fontsize=8, zorder=2,
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": "#E8F4FB", "edgecolor": "none"})
    for state in dict.fromkeys(end for edge in edges for end in edge[:2]):
        ax.text(*places[state], state, ha="center", va="center", fontsize=9, zorder=3,
                bbox={"boxstyle": "circle,pad=0.3", "facecolor": "#FFFFFF", "edgecolor": "#444444"})
    across, up = np.array(list(places.values())).T
    ax.set_xlim(across.min() - 0.5, across.max() + 0.5)
    ax.set_ylim(up.min() - 0.5, up.max() + 0.5)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()
    return ax


def plot_class_sizes(spaces: Mapping[str, Classes], ax: Axes | None = None) -> Axes:
    """Share of the cells of each space by the size of their class.

    Args:
        spaces: name → classes; at most as many as :data:`~a2v_core.plotting.SERIES`.
        ax: where to draw; a new figure otherwise.
    """
    import matplotlib.pyplot as plt

    ax = plt.subplots(figsize=(7.6, 3.6))[1] if ax is None else ax
    largest = max(classes.largest for classes in spaces.values())
    width = 0.8 / len(spaces)
    hatches = ("", "//", "..", "xx", "--", "++")
    for i, (name, classes) in enumerate(spaces.items()):
        sizes = classes.sizes
        share = 100 * np.bincount(sizes, sizes, largest + 1)[1:] / sizes.sum()
        bars = ax.bar(np.arange(1, largest + 1) + (i - (len(spaces) - 1) / 2) * width, share, width, label=name,
                      color=SERIES[i][0], hatch=hatches[i], edgecolor="#FFFFFF")
        ax.bar_label(bars, [f"{value:.0f}" if value >= 0.5 else "" for value in share], fontsize=8)
    ax.set_xticks(range(1, largest + 1))
    ax.set(xlabel="cells that are one undirected graph", ylabel="share of all cells (%)")
    ax.grid(axis="x", visible=False)
    ax.legend()
    return ax


def plot_partners(classes: Classes, values: np.ndarray, lowest: float, ax: Axes | None = None) -> Axes:
    """Value of each cell against that of the first cell of its class, pairs with both above `lowest`."""
    import matplotlib.pyplot as plt

    ax = plt.subplots(figsize=(4.6, 4.0))[1] if ax is None else ax
    order = np.argsort(classes.labels, kind="stable")
    first = order[np.searchsorted(classes.labels[order], classes.labels)]
    shown = (first != np.arange(len(first))) & (values > lowest) & (values[first] > lowest)
    bins = ax.hexbin(values[first][shown], values[shown], gridsize=45, bins="log", cmap=SEQUENTIAL, mincnt=1)
    ax.figure.colorbar(bins, ax=ax, label="pairs of cells")
    ax.axline((lowest, lowest), slope=1, color=COLOURS["vermilion"], linewidth=1, linestyle="--")
    ax.set(xlabel="test accuracy of one cell (%)", ylabel="of another with the same undirected graph (%)")
    return ax


def plot_distances(models: Mapping[str, Distances]) -> Figure:
    """Distances between embeddings inside classes and between them, one panel a model, on a logarithmic axis.

    Distances of zero, to the bit, are drawn at the left edge.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(models), 1, sharex=True, figsize=(6.4, 0.6 + 1.7 * len(models)), squeeze=False)
    positive = [d[d > 0] for distances in models.values() for d in (distances.inside, distances.between)]
    low = min(float(d.min()) for d in positive if len(d)) / 2
    edges = np.geomspace(low, max(float(d.max()) for d in positive if len(d)) * 1.01, 60)
    for ax, (name, distances) in zip(axes[:, 0], models.items(), strict=True):
        for d, label, (colour, _), filled in ((distances.inside, "equal as undirected graphs", SERIES[3], True),
                                             (distances.between, "different", SERIES[0], False)):
            if len(d):
                ax.hist(np.maximum(d, low), edges, weights=np.full(len(d), 100 / len(d)), color=colour, label=label,
                        histtype="stepfilled" if filled else "step", linewidth=1.8, alpha=0.75 if filled else 1)
        ax.set(xscale="log", ylabel="pairs (%)")
        ax.set_title(name, fontsize=10, loc="left")
    axes[0, 0].legend()
    axes[-1, 0].set_xlabel("L2 distance of two embeddings")
    return figure


def _size(places: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    across, up = np.ptp(list(places.values()), axis=0)
    return 0.75 * across + 1, 0.75 * up + 1


def _short(name: str) -> str:
    return SHORT_NAMES.get(name, name)
