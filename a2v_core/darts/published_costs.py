"""What the ImageNet networks of Table 5 cost: counted from the built network, and computed from formulas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from a2v_core import paths
from a2v_core.darts.counting import Count, build_and_count
from a2v_core.darts.genotype_files import read_genotype_file
from a2v_core.darts.published_cells import get_published, imagenet_network
from a2v_core.search.methods import METHODS
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_cost import CONVENTIONS, IMAGENET, network_cost
from a2v_core.spaces.darts_genotypes import NetworkGenotype

#: The rows of Table 5, by their identity in the register of claims.
TABLE5_METHODS = ("nasnet_a", "amoebanet_a", "pnas", "snas", "darts", "arch2vec_rl", "arch2vec_bo")
#: Methods of Table 4 with published cells of the same space, whose ImageNet networks the paper does not list.
OTHER_METHODS = ("darts_first_order", "bananas")
#: Channels, height and width of an image.
IMAGE = (3, 224, 224)


@dataclass(frozen=True)
class Formula:
    """Costs computed without a network: `parameters`, and `multiply_adds` by convention."""

    parameters: int
    multiply_adds: dict[str, int]


@cache
def built_cost(name: str) -> Count:
    """Count of the network of a published method; built once in a process (half a second).

    Raises:
        SettingsError: the method is unknown.
    """
    return build_and_count(lambda: imagenet_network(name), IMAGE)


def formula_cost(name: str) -> Formula | None:
    """The same from the formulas of :mod:`a2v_core.spaces.darts_cost`; None for cells outside the DARTS space.

    Raises:
        SettingsError: the method is unknown.
    """
    cells = get_published(name).cells
    return genotype_cost(cells) if isinstance(cells, NetworkGenotype) else None


def genotype_cost(cells: NetworkGenotype) -> Formula:
    """Costs of the network made of two cells of the DARTS space, from formulas."""
    edges = [genotype_edges([cell]) for cell in cells]
    costs = {name: network_cost(*edges, IMAGENET, name) for name in CONVENTIONS}
    return Formula(int(costs["conventional"].parameters[0]),
                   {name: int(cost.multiply_adds[0]) for name, cost in costs.items()})


def found_genotypes(data_dir: str | Path | None = None) -> dict[str, NetworkGenotype]:
    """Cells that our own searches exported to ``genotypes/`` of the data folder, by method and objective, or by the
    name of the file where that is no method's; none where the folder is missing.

    Raises:
        DataError: a file cannot be read or has no genotype.
        SpaceError: a genotype is malformed.
    """
    folder = paths.data_dir(data_dir) / "genotypes"
    return {_title(path.stem): read_genotype_file(path) for path in sorted(folder.glob("*.json"))}


def _title(stem: str) -> str:
    method, _, how = stem.partition("-")
    return f"{METHODS[method].label}, ours by {how}" if how and method in METHODS else stem
