"""Layered drawing of directed acyclic graphs: where nodes stand and how edges run between them.

The method of Sugiyama et al. (1981): a layer for each step of the longest path from an input; an edge over several
layers runs through a place of its own in each of them, so that it passes the nodes between; the order in the layers is
improved until the edges cross as little as a few sweeps can reach; then every node moves towards its neighbours as far
as the distances allow. Cells have at most eleven nodes, so that nothing needs to be fast.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from a2v_core.errors import SettingsError

# Distance of neighbours in a layer: 1 between nodes, less where an edge passes.
_NODE, _PASSING = 0.5, 0.2
_SWEEPS = 12


@dataclass(frozen=True, eq=False)
class Layout:
    """A drawing of a graph of n nodes.

    Attributes:
        positions: of the nodes, float64 [n, 2]; layers one unit apart, inputs on top at y = 0.
        routes: edge → the points that it runs through from node to node, float64 [2 + layers between, 2].
        crossings: number of pairs of edges that cross between two layers.
    """

    positions: np.ndarray
    routes: dict[tuple[int, int], np.ndarray]
    crossings: int


def layered_layout(adjacency: np.ndarray) -> Layout:
    """Lay out a graph; the same graph is always drawn in the same way.

    Args:
        adjacency: [n, n], 1 where row i feeds column j.

    Raises:
        SettingsError: the graph has a cycle.
    """
    import networkx as nx

    graph = nx.from_numpy_array(np.asarray(adjacency), create_using=nx.DiGraph)
    if not nx.is_directed_acyclic_graph(graph):
        raise SettingsError("a graph with a cycle has no layers: draw cells, which have none")
    n = len(adjacency)
    if not n:
        return Layout(np.zeros((0, 2)), {}, 0)
    layers = [sorted(layer) for layer in nx.topological_generations(graph)]
    depth = {node: k for k, layer in enumerate(layers) for node in layer}
    paths = {}
    for i, j in sorted(graph.edges):
        between = list(range(n, n + depth[j] - depth[i] - 1))
        n += len(between)
        for k, place in enumerate(between, depth[i] + 1):
            layers[k].append(place)
        paths[i, j] = [i, *between, j]
    links = sorted({link for path in paths.values() for link in itertools.pairwise(path)})
    layers, crossings = _ordered(layers, links)
    x = _placed(layers, links, len(adjacency), n)
    y = {place: -float(k) for k, layer in enumerate(layers) for place in layer}
    points = np.array([[x[place], y[place]] for place in range(n)]).reshape(n, 2)
    return Layout(points[:len(adjacency)], {edge: points[path] for edge, path in paths.items()}, crossings)


def _ordered(layers: list[list[int]], links: list[tuple[int, int]]) -> tuple[list[list[int]], int]:
    """The best order found by sorting layers by the mean place of their neighbours above, then below, in turns, with
    swaps of neighbours in between."""
    above, below = _neighbours(links)
    best, least = [list(layer) for layer in layers], _crossings(layers, links)
    layers = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            place = {node: k / max(1, len(row) - 1) for row in layers for k, node in enumerate(row)}
            layer.sort(key=lambda node, place=place, known=neighbours: np.mean(
                [place[other] for other in known.get(node, [node])]))
        _swap(layers, links)
        if (found := _crossings(layers, links)) < least:
            best, least = [list(layer) for layer in layers], found
    return best, least


def _swap(layers: list[list[int]], links: list[tuple[int, int]]) -> None:
    """Exchange neighbours in a layer, in place, where that removes crossings."""
    count = _crossings(layers, links)
    for layer in layers:
        for k in range(len(layer) - 1):
            layer[k], layer[k + 1] = layer[k + 1], layer[k]
            if (found := _crossings(layers, links)) < count:
                count = found
            else:
                layer[k], layer[k + 1] = layer[k + 1], layer[k]


def _crossings(layers: list[list[int]], links: list[tuple[int, int]]) -> int:
    place = {node: (depth, k) for depth, layer in enumerate(layers) for k, node in enumerate(layer)}
    ends = np.array([(*place[a], place[b][1]) for a, b in links]).reshape(-1, 3)
    same = ends[:, None, 0] == ends[None, :, 0]
    crossed = (ends[:, None, 1] < ends[None, :, 1]) & (ends[:, None, 2] > ends[None, :, 2])
    return int((same & crossed).sum())


def _placed(layers: list[list[int]], links: list[tuple[int, int]], n_nodes: int, n_places: int) -> np.ndarray:
    """Horizontal positions, float64 [places]: near the neighbours, in order, and far enough apart."""
    from scipy.optimize import isotonic_regression

    above, below = _neighbours(links)
    half = np.where(np.arange(n_places) < n_nodes, _NODE, _PASSING)
    offsets = {}
    for layer in layers:
        gaps = [half[a] + half[b] for a, b in itertools.pairwise(layer)]
        offsets[layer[0]] = np.concatenate([[0.0], np.cumsum(gaps)])
    x = np.zeros(n_places)
    for layer in layers:
        x[layer] = offsets[layer[0]] - offsets[layer[0]].mean()
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = [np.mean(x[above.get(node, []) + below.get(node, [])]) if node in above or node in below
                      else x[node] for node in layer]
            # Least squares under the distances: they are constant, so what is left is a monotone regression.
            offset = offsets[layer[0]]
            x[layer] = isotonic_regression(np.array(wanted) - offset).x + offset
    x -= (x.min() + x.max()) / 2
    return np.round(x, 6) + 0.0


def _neighbours(links: list[tuple[int, int]]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Places linked to each from above and from below."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for a, b in links:
        above.setdefault(b, []).append(a)
        below.setdefault(a, []).append(b)
    return above, below
