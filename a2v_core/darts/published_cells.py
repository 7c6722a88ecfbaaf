"""Cells that Tables 4 and 5 name and whose authors published them, and the networks built from them.

A cell is data: what each edge reads and does. Its source is given in words; where a paper draws a cell and the code of
its authors writes it out, both agree. State 0 is c_{k-2}, 1 is c_{k-1}; TensorFlow code of
the NASNet line numbers these two the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from a2v_core.darts.cell_plans import CellPlan, NetworkPlan, network_plan
from a2v_core.darts.nasnet_networks import EnasCifarNetwork, NasnetImageNetNetwork
from a2v_core.darts.networks import CifarNetwork, ImageNetNetwork
from a2v_core.errors import SettingsError
from a2v_core.spaces.darts_genotypes import (
    ARCH2VEC_BO,
    ARCH2VEC_RL,
    DARTS_FIRST_ORDER,
    DARTS_SECOND_ORDER,
    Genotype,
    NetworkGenotype,
)


def _edges(text: str) -> tuple[tuple[str, int], ...]:
    """Edges written ``operation(state)`` with blanks between."""
    return tuple((edge[:-3], int(edge[-2])) for edge in text.split())


def _genotypes(normal: str, reduction: str) -> NetworkGenotype:
    return NetworkGenotype(Genotype(_edges(normal)), Genotype(_edges(reduction)))


#: The three cells of SNAS (Xie et al. 2019; genotypes of its released code), by how strongly the search punished cost.
SNAS_MILD = _genotypes(
    "sep_conv_3x3(0) sep_conv_3x3(1) skip_connect(0) dil_conv_3x3(1) "
    "skip_connect(0) skip_connect(1) skip_connect(0) sep_conv_3x3(1)",
    "max_pool_3x3(0) max_pool_3x3(1) max_pool_3x3(1) skip_connect(2) "
    "max_pool_3x3(1) skip_connect(2) max_pool_3x3(0) dil_conv_5x5(2)",
)
SNAS_MODERATE = _genotypes(
    "dil_conv_5x5(0) skip_connect(1) sep_conv_3x3(0) skip_connect(1) "
    "skip_connect(0) skip_connect(1) sep_conv_3x3(0) dil_conv_5x5(1)",
    "max_pool_3x3(0) max_pool_3x3(1) sep_conv_5x5(0) dil_conv_5x5(1) "
    "sep_conv_5x5(0) sep_conv_5x5(1) sep_conv_5x5(0) sep_conv_5x5(1)",
)
SNAS_AGGRESSIVE = _genotypes(
    "sep_conv_5x5(0) skip_connect(1) skip_connect(0) skip_connect(1) "
    "dil_conv_5x5(1) skip_connect(0) skip_connect(0) dil_conv_5x5(1)",
    "sep_conv_5x5(0) none(1) sep_conv_5x5(0) none(1) none(1) none(0) none(1) none(0)",
)
#: BANANAS (White et al. 2021; genotype in the code that the authors of arch2vec released).
BANANAS = _genotypes(
    "sep_conv_3x3(1) skip_connect(0) sep_conv_5x5(2) sep_conv_5x5(0) "
    "skip_connect(0) sep_conv_5x5(2) sep_conv_3x3(0) skip_connect(2)",
    "sep_conv_3x3(1) max_pool_3x3(0) max_pool_3x3(0) none(1) "
    "dil_conv_3x3(2) sep_conv_5x5(3) sep_conv_5x5(4) sep_conv_3x3(1)",
)
#: NASNet-A (Zoph et al. 2018, Figure 4; the authors' network in TensorFlow models). c_{k-2} is part of the output.
NASNET_A = NetworkPlan(
    CellPlan(_edges("sep_conv_5x5(1) sep_conv_3x3(0) sep_conv_5x5(0) sep_conv_3x3(0) avg_pool_3x3(1) skip_connect(0) "
                    "avg_pool_3x3(0) avg_pool_3x3(0) sep_conv_3x3(1) skip_connect(1)"), (0, 2, 3, 4, 5, 6)),
    CellPlan(_edges("sep_conv_5x5(1) sep_conv_7x7(0) max_pool_3x3(1) sep_conv_7x7(0) avg_pool_3x3(1) sep_conv_5x5(0) "
                    "skip_connect(3) avg_pool_3x3(2) sep_conv_3x3(2) max_pool_3x3(1)"), (3, 4, 5, 6)),
)
#: AmoebaNet-A (Real et al. 2019; the authors' network for TensorFlow on TPU).
AMOEBANET_A = NetworkPlan(
    CellPlan(_edges("avg_pool_3x3(1) max_pool_3x3(1) sep_conv_3x3(0) skip_connect(0) skip_connect(1) avg_pool_3x3(0) "
                    "sep_conv_3x3(1) sep_conv_5x5(2) avg_pool_3x3(5) sep_conv_3x3(1)"), (0, 3, 4, 6)),
    CellPlan(_edges("sep_conv_3x3(0) avg_pool_3x3(1) max_pool_3x3(1) sep_conv_7x7(2) max_pool_3x3(0) max_pool_3x3(1) "
                    "sep_conv_3x3(4) conv_7x1_1x7(1) avg_pool_3x3(0) sep_conv_7x7(1)"), (2, 3, 4, 5, 6)),
)
_PNAS = CellPlan(_edges("sep_conv_5x5(0) max_pool_3x3(0) sep_conv_7x7(1) max_pool_3x3(1) sep_conv_5x5(1) "
                        "sep_conv_3x3(1) sep_conv_3x3(4) max_pool_3x3(1) sep_conv_3x3(0) skip_connect(1)"),
                 (2, 3, 4, 5, 6))
#: PNASNet-5 (Liu et al. 2018, Figure 1; the authors' network in TensorFlow models): one cell serves as both.
PNASNET_5 = NetworkPlan(_PNAS, _PNAS)
#: ENAS (Pham et al. 2018, Figure 8; the architecture of the authors' final script): one output for each node unread.
ENAS = NetworkPlan(
    CellPlan(_edges("avg_pool_3x3(0) sep_conv_3x3(0) skip_connect(0) sep_conv_5x5(0) skip_connect(0) sep_conv_5x5(1) "
                    "sep_conv_3x3(1) sep_conv_5x5(0) avg_pool_3x3(0) sep_conv_5x5(1)"), (2, 3, 4, 5, 6)),
    CellPlan(_edges("sep_conv_3x3(1) sep_conv_3x3(1) max_pool_3x3(0) avg_pool_3x3(0) sep_conv_5x5(1) sep_conv_5x5(3) "
                    "sep_conv_3x3(1) skip_connect(0) max_pool_3x3(0) sep_conv_5x5(1)"), (2, 4, 5, 6)),
)


@dataclass(frozen=True)
class PublishedCells:
    """Cells of one method.

    Attributes:
        label: name of the method on a page.
        cells: genotypes of the DARTS space, or plans of cells outside it.
        nasnet: width and repeats of its ImageNet network where that is one of the NASNet line; None for that of DARTS.
    """

    label: str
    cells: NetworkGenotype | NetworkPlan
    nasnet: tuple[int, int] | None = None

    @property
    def in_darts_space(self) -> bool:
        """Whether the space that arch2vec searches holds cells of this form: four intermediate nodes with two different
        inputs each, all of them in the output, and the eight operations of Appendix A.3."""
        return isinstance(self.cells, NetworkGenotype)


#: Every method of Tables 4 and 5 whose cells are published, by its identity in the register of claims.
PUBLISHED = {
    "nasnet_a": PublishedCells("NASNet-A", NASNET_A, nasnet=(44, 4)),
    "amoebanet_a": PublishedCells("AmoebaNet-A", AMOEBANET_A, nasnet=(50, 4)),
    "pnas": PublishedCells("PNAS", PNASNET_5, nasnet=(54, 3)),
    "enas": PublishedCells("ENAS", ENAS),
    "snas": PublishedCells("SNAS", SNAS_MODERATE),
    "darts_first_order": PublishedCells("DARTS, first order", DARTS_FIRST_ORDER),
    "darts": PublishedCells("DARTS, second order", DARTS_SECOND_ORDER),
    "bananas": PublishedCells("BANANAS", BANANAS),
    "arch2vec_rl": PublishedCells("arch2vec-RL", NetworkGenotype(ARCH2VEC_RL, ARCH2VEC_RL)),
    "arch2vec_bo": PublishedCells("arch2vec-BO", NetworkGenotype(ARCH2VEC_BO, ARCH2VEC_BO)),
}


def get_published(name: str) -> PublishedCells:
    """Raises SettingsError when no cells of that method are published here."""
    if name not in PUBLISHED:
        raise SettingsError(f"no published cells of {name!r}: choose one of {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


def imagenet_network(name: str) -> nn.Module:
    """The ImageNet network of a method in the mobile setting, without auxiliary head.

    Raises:
        SettingsError: the method is unknown.
    """
    published = get_published(name)
    if published.nasnet:
        channels, repeats = published.nasnet
        return NasnetImageNetNetwork(network_plan(published.cells), channels, repeats)
    return ImageNetNetwork(published.cells, auxiliary=False)


def cifar_network(name: str) -> nn.Module:
    """The CIFAR-10 network of a method without auxiliary head: that of ENAS for ENAS, else that of DARTS.

    Raises:
        SettingsError: the method is unknown.
    """
    if name == "enas":
        return EnasCifarNetwork(ENAS)
    return CifarNetwork(get_published(name).cells, auxiliary=False)
