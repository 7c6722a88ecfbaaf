"""Figures of the page of Observation 5: chains as drawn cells, as strips of operations, and their steps counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
from a2v_core.observations.cell_changes import cell_changes
from a2v_core.observations.chains_plan import Chains
from a2v_core.plotting import COLOURS, SERIES, SHORT_NAMES, draw_cells
from a2v_core.search.protocol import NO_CELL
from a2v_core.spaces.base import SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of operations on a strip, light enough for black letters.
_STRIP = ("#D9D9D9", "#BFDDF2", "#F7DDA8", "#BFE5D8", "#F0CFE0", "#FFFFFF", "#D9D9D9")


def draw_chain(space: SearchSpace, cells: Cells, rows: np.ndarray) -> Figure:
    """The cells of a chain in their order, changes against the cell before in vermilion, their number below.

    Args:
        space: of the cells.
        cells: the cells that `rows` number.
        rows: of the chain, int64 [L]; where it has ended, no more is drawn.
    """
    chain = cells[rows[rows != NO_CELL]]
    changes = cell_changes(space.name, chain[:-1], chain[1:])
    captions = ["start", *(_caption(space.name, int(o), int(e))
                           for o, e in zip(changes.operations, changes.edges, strict=True))]
    return draw_cells(chain, space.vocabulary, captions=captions, changes=changes.marks())


def in_words(space: SearchSpace, cells: Cells, rows: np.ndarray) -> str:
    """The chain as text that opens on demand (HTML in Markdown): each cell by its operations and edges."""
    chain = cells[rows[rows != NO_CELL]]
    lines = "\n".join(f"<li>{_sentence(space, chain[i])}</li>" for i in range(len(chain)))
    return f"<details><summary>The same cells in words</summary>\n<ol>\n{lines}\n</ol>\n</details>"


def plot_steps(groups: Mapping[str, Sequence[Chains]], array: str, xlabel: str, ax: Axes | None = None) -> Axes:
    """Share of steps by their number of changes, one line an arm.

    Args:
        groups: label → chains, all seeds together; at most as many as :data:`a2v_core.plotting.SERIES`.
        array: counts.
        xlabel: what is counted.
        ax: where to draw; a new figure otherwise.

    Raises:
        SettingsError: more arms than there are markers.
    """
    import matplotlib.pyplot as plt

    if len(groups) > len(SERIES):
        raise SettingsError(f"{len(groups)} arms in one plot: give at most {len(SERIES)}")
    ax = plt.subplots(figsize=(6.4, 3.4))[1] if ax is None else ax
    for (label, group), (colour, marker) in zip(groups.items(), SERIES, strict=False):
        counts = np.concatenate([made.arrays[array].ravel() for made in group])
        counts = counts[np.isfinite(counts)].astype(np.int64)
        share = 100 * np.bincount(counts) / max(1, len(counts))
        ax.plot(np.arange(len(share)), share, color=colour, marker=marker, markersize=4, linewidth=1.4, label=label)
    ax.set(xlabel=xlabel, ylabel="steps, %")
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_strips(space: SearchSpace, cells: Cells, chains: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Chains of one fixed graph as strips: a row a cell, a column an operation node; what changed against the row above
    has a heavy border.

    Args:
        space: NAS-Bench-201.
        cells: the cells that the rows number.
        chains: label → rows of each chain, int64 [L].
    """
    import matplotlib.pyplot as plt

    n_chains = max(len(rows) for rows in chains.values())
    length = max(len(r) for rows in chains.values() for r in rows)
    figure, axes = plt.subplots(n_chains, len(chains), squeeze=False,
                                figsize=(2.75 * len(chains), n_chains * (0.24 * length + 0.3)))
    for column, (label, several) in enumerate(chains.items()):
        for ax, rows in zip(axes[:, column], several, strict=False):
            _strip(ax, space, cells[rows[rows != NO_CELL]])
        axes[0, column].set_title(label, fontsize=9)
    return figure


def _strip(ax: Axes, space: SearchSpace, chain: Cells) -> None:
    from matplotlib.patches import Rectangle

    ops = chain.ops[:, 1:-1]
    changed = np.zeros(ops.shape, bool)
    changed[1:] = ops[1:] != ops[:-1]
    for (i, j), op in np.ndenumerate(ops):
        ax.add_patch(Rectangle((j, -i - 1), 1, 1, facecolor=_STRIP[op], edgecolor="#FFFFFF", linewidth=0.8))
        name = space.vocabulary[op]
        ax.text(j + 0.5, -i - 0.5, SHORT_NAMES.get(name, name), ha="center", va="center", fontsize=7,
                color=COLOURS["black"], weight="bold" if changed[i, j] else "normal")
    for i, j in np.argwhere(changed):
        ax.add_patch(Rectangle((j + 0.04, -i - 0.96), 0.92, 0.92, fill=False, edgecolor=COLOURS["vermilion"],
                               linewidth=1.6))
    ax.set(xlim=(-0.05, ops.shape[1] + 0.05), ylim=(-len(ops) - 0.05, 0.05))
    ax.set_axis_off()


def _caption(space_name: str, operations: int, edges: int) -> str:
    if space_name == "nasbench101":
        return _count(operations + edges, "edit")
    return _count(operations, "op") + ("" if space_name == "nasbench201" else f", {_count(edges, 'edge')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _sentence(space: SearchSpace, cell: Cells) -> str:
    """One cell in words: nodes numbered in the order of their rows, then who feeds whom."""
    if space.name == "nasbench201":
        return ", ".join(space.vocabulary[op] for op in cell.ops[0, 1:-1])
    ops = cell.ops[0][cell.ops[0] != PAD]
    names = [f"{i} {space.vocabulary[op]}" for i, op in enumerate(ops)]
    edges = ", ".join(f"{i}→{j}" for i, j in np.argwhere(cell.adjacency[0]) if j < len(ops) - (space.name == "darts"))
    output = ", and every operation feeds the output" if space.name == "darts" else ""
    return f"{', '.join(names)}; edges {edges}{output}"
