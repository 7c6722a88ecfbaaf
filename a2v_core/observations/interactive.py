"""The interactive version of Figure 4: maps whose cells are drawn, with their accuracy, where the pointer is.

The figure is plotly's. In the book, ``_static/latent_map.js`` shows it with plotly.js from the book's own folder
(:mod:`a2v_core.sphinx_plotly`), so that it needs no network, and draws the cell; JupyterLab and other frontends that
know plotly show the figure alone. No code is on the page, only data: some 550 kB for 10,000 cells on four maps.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from a2v_core.cells import Cells
from a2v_core.errors import SettingsError
from a2v_core.observations.areas import HIGH, LOW
from a2v_core.observations.latent_figures import ACCURACY_LABEL, accuracy_colours
from a2v_core.plotting import SHORT_NAMES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLOTLY_MIME = "application/vnd.plotly.v1+json"
# Positions are whole numbers up to this, to be short.
_EXTENT = 10_000
_WITHOUT_SCRIPTS = ("The interactive map needs the book's scripts: open this page in the book, or in a notebook that "
                    "shows plotly figures.")


@dataclass(frozen=True, eq=False, repr=False)
class InteractiveMap:
    """What a notebook displays.

    Attributes:
        figure: one trace of all cells for each map, one visible at a time; then a ring around the chosen cell.
        cells: the cells as the script wants them, see :func:`packed_cells`, and base64 of their rows, int32.
        names: of the operations by code, as they are drawn.
    """

    figure: Figure
    cells: dict[str, Any]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"InteractiveMap of {self.cells['count']:,} cells"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        drawn = json.loads(self.figure.to_json())
        # A template of defaults is most of a small figure, and none of it is used.
        drawn["layout"].pop("template", None)
        return {PLOTLY_MIME: drawn, "text/html": self._html(drawn)}

    def _html(self, drawn: dict[str, Any]) -> str:
        data = json.dumps({"figure": drawn, "cells": self.cells, "names": self.names}, separators=(",", ":"))
        # The script would end at "</", and JSON may write a slash with a backslash.
        data = data.replace("</", "<\\/")
        return (f'<div class="latent-map"><script type="application/json">{data}</script><p>{_WITHOUT_SCRIPTS}</p>'
                "</div>")


def interactive_map(planes: Mapping[str, np.ndarray], accuracies: np.ndarray, rows: np.ndarray, cells: Cells,
                    vocabulary: Sequence[str]) -> InteractiveMap:
    """Maps of the same n cells.

    Args:
        planes: label → positions [n, 2]; maps without extent (collapsed) are left out.
        accuracies: fractions, [n].
        rows: of the cells in their space, [n].
        cells: the n cells.
        vocabulary: names of the operations by code.

    Raises:
        SettingsError: positions, accuracies, rows and cells are not equally many, or no map is left.
    """
    import plotly.graph_objects as go

    sizes = {len(accuracies), len(rows), len(cells), *(len(plane) for plane in planes.values())}
    if len(sizes) > 1:
        raise SettingsError(f"maps of {', '.join(map(str, sorted(sizes)))} cells: give all of the same ones")
    planes = {label: plane for label, plane in planes.items() if np.isfinite(plane).all() and np.ptp(plane) > 0}
    if not planes:
        raise SettingsError("no map to show: all vectors have collapsed on one point")
    percent = (100 * accuracies).astype(np.float32)
    figure = go.Figure()
    for place, (label, plane) in enumerate(planes.items()):
        x, y = _whole_numbers(plane)
        figure.add_trace(go.Scattergl(
            x=x, y=y, mode="markers", name=label, visible=place == 0,
            marker={"color": percent, "coloraxis": "coloraxis", "size": 5},
            hovertemplate="%{marker.color:.2f} %<extra></extra>"))
    # Drawn as the cells are, or it would lie under them.
    figure.add_trace(go.Scattergl(x=[], y=[], mode="markers", hoverinfo="skip", showlegend=False, marker={
        "symbol": "circle-open", "size": 18, "color": "#7F7F7F", "line": {"width": 3}}))
    buttons = [{"label": label, "method": "update", "args": [
        {"visible": [other == place for other in range(len(planes))] + [True]}]} for place, label in enumerate(planes)]
    axis = {"visible": False, "range": [-0.03 * _EXTENT, 1.03 * _EXTENT]}
    figure.update_layout(
        showlegend=False, margin={"l": 12, "r": 12, "t": 0, "b": 0}, hovermode="closest", dragmode="pan",
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", xaxis=axis, yaxis=axis | {"scaleanchor": "x"},
        coloraxis={"cmin": 100 * LOW, "cmax": 100 * HIGH, "colorscale": _colour_scale(), "colorbar": {
            "orientation": "h", "thickness": 10, "y": 0, "yanchor": "top",
            "title": {"text": ACCURACY_LABEL, "side": "bottom"}}},
        updatemenus=[{"buttons": buttons, "x": 0, "y": 1, "xanchor": "left", "yanchor": "top"}])
    packed = packed_cells(cells) | {"rows": _base64(rows.astype("<i4"))}
    return InteractiveMap(figure, packed, tuple(SHORT_NAMES.get(name, name) for name in vocabulary))


def packed_cells(cells: Cells) -> dict[str, Any]:
    """{"nodes": N, "count": M, "ops": base64 of the M x N operation codes, "edges": base64 of the strict upper
    triangles of the adjacency matrices}: row by row, eight entries a byte, the highest bit first, each cell from a new
    byte."""
    upper = cells.adjacency[:, *np.triu_indices(cells.ops.shape[1], 1)]
    return {"nodes": cells.ops.shape[1], "count": len(cells), "ops": _base64(cells.ops),
            "edges": _base64(np.packbits(upper, axis=1))}


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _whole_numbers(plane: np.ndarray) -> np.ndarray:
    """The map in a square of :data:`_EXTENT`, its shape kept, int16 [2, n]."""
    plane = plane - plane.min(0)
    return np.round(plane / plane.max() * _EXTENT).astype(np.int16).T


def _colour_scale() -> list[list]:
    """The colours of :func:`a2v_core.observations.latent_figures.accuracy_colours`: the first and the last are for what
    lies beyond the ends alone."""
    colours = accuracy_colours()
    inner = [[0.001 + 0.998 * i / 8, _hex(colours(i / 8))] for i in range(9)]
    return [[0.0, _hex(colours.get_under())], [0.001, _hex(colours.get_under())], *inner,
            [0.999, _hex(colours.get_over())], [1.0, _hex(colours.get_over())]]


def _hex(colour: Any) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour)
