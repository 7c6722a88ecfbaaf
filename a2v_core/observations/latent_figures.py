"""Figures of the page on the latent space: maps coloured by accuracy as Figure 4 is, and measures by arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2v_core.observations.areas import HIGH, LOW
from a2v_core.observations.latent_plan import Map
from a2v_core.plotting import COLOURS, legend_below, plot_intervals
from a2v_core.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

ACCURACY_LABEL = f"test accuracy, %; black below {100 * LOW:.0f}, red above {100 * HIGH:.0f}"


def accuracy_colours() -> Colormap:
    """Colours of accuracies from LOW to HIGH, with black below and red above. The paper does not name its scale; ours
    leaves out the dark end, which would pass for black."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    colours = colormaps["cividis"](np.linspace(0.3, 1, 256))
    scale = LinearSegmentedColormap.from_list("accuracy", colours)
    return scale.with_extremes(under=COLOURS["black"], over=COLOURS["vermilion"])


def plot_maps(maps: Mapping[str, Map], columns: int = 3) -> Figure:
    """Mean accuracy of each area of each map, white where there is no cell. The numbers in a title are the percentage
    of areas with a cell and the roughness of what the colours show, in percentage points; a map of collapsed vectors
    says so."""
    import matplotlib.pyplot as plt

    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.9 * columns, 3.2 * rows + 0.6), squeeze=False)
    for ax in axes.flat[len(maps):]:
        ax.set_axis_off()
    for ax, (title, one) in zip(axes.flat, maps.items(), strict=False):
        image = _draw_map(ax, one)
        numbers = f"\n{one.occupied_share:.0f} % of areas, roughness {100 * one.coloured_roughness:.2f}"
        ax.set_title(title + (numbers if np.isfinite(one.roughness) else ""), fontsize=9)
    bar = figure.colorbar(image, ax=axes, orientation="horizontal", extend="both", shrink=min(1, 1.6 / columns),
                          aspect=40, pad=0.02)
    bar.set_label(ACCURACY_LABEL)
    return figure


def _draw_map(ax: Axes, one: Map) -> object:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set(visible=True, color="#CCCCCC")
    if not np.isfinite(one.plane).all():
        ax.text(0.5, 0.5, "all vectors\non one point", ha="center", va="center", transform=ax.transAxes)
    return ax.imshow(100 * one.means, origin="lower", cmap=accuracy_colours(), vmin=100 * LOW, vmax=100 * HIGH,
                     interpolation="none", aspect="auto")


def plot_measures(panels: Mapping[str, Mapping[str, Mapping[str, Estimate]]], names: Sequence[str]) -> Figure:
    """One panel a measure, one row a source, one series a recipe: title → series → row → estimate, with the rows
    `names` on all panels."""
    import matplotlib.pyplot as plt

    columns = 2
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8.6, (0.6 + 0.42 * len(names)) * rows + 0.5), sharey=True,
                                squeeze=False)
    for ax, (title, series) in zip(axes.flat, panels.items(), strict=False):
        plot_intervals({label: found for label, found in series.items() if found}, xlabel=title, ax=ax, names=names)
        ax.get_legend().remove()
    for ax in axes.flat[len(panels):]:
        ax.set_axis_off()
    legend_below(figure)
    return figure
