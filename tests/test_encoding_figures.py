import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from a2v_core.encoding_figures import (
    darts_edges,
    draw_matrix,
    draw_operations_on_edges,
    encoding_figure,
    nasbench201_edges,
    plot_class_sizes,
    plot_distances,
    plot_partners,
)
from a2v_core.errors import SettingsError
from a2v_core.identifiability import Classes, Distances
from a2v_core.spaces import get_space
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_the_figure_shows_both_matrices_entry_by_entry():
    space = get_space("nasbench201")
    cell = space.cells()[17]
    _, adjacency, operations = encoding_figure(space, cell).axes
    assert texts(adjacency) == [str(entry) for entry in cell.adjacency[0].ravel()]
    assert texts(operations) == [str(entry) for entry in cell.one_hot(7)[0].ravel()]
    columns = [tick.get_text() for tick in operations.get_xticklabels()]
    assert columns == ["in", "1x1", "3x3", "AP", "skip", "zero", "out"]
    with pytest.raises(SettingsError, match="one cell"):
        encoding_figure(space, space.cells()[:2])


def test_padded_rows_are_named():
    space = get_space("nasbench101")
    cell = space.from_native([{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}])
    names = [tick.get_text() for tick in encoding_figure(space, cell).axes[1].get_yticklabels()]
    assert names == ["0 in", "1 out", "2 (pad)", "3 (pad)", "4 (pad)", "5 (pad)", "6 (pad)"]


def test_a_matrix_needs_its_names():
    ax = plt.subplots()[1]
    with pytest.raises(SettingsError, match="1 row and 3 column names"):
        draw_matrix(np.zeros((2, 3)), ["a"], ["x", "y", "z"], ax)


def test_edges_of_an_architecture_string():
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    edges = nasbench201_edges(text)
    assert edges == [("0", "1", "nor_conv_3x3"), ("0", "2", "none"), ("1", "2", "avg_pool_3x3"),
                     ("0", "3", "skip_connect"), ("1", "3", "nor_conv_1x1"), ("2", "3", "nor_conv_3x3")]
    drawn = texts(draw_operations_on_edges(edges))
    assert sorted(drawn) == sorted(["3x3", "zero", "AP", "skip", "1x1", "3x3", "0", "1", "2", "3"])


def test_edges_of_a_genotype():
    edges = darts_edges(ARCH2VEC_BO)
    assert edges[:2] == [("k-1", "0", "sep_conv_5x5"), ("k-2", "0", "max_pool_3x3")]
    assert edges[6:8] == [("0", "3", "dil_conv_5x5"), ("k-2", "3", "sep_conv_3x3")]
    assert edges[8:] == [(state, "out", "") for state in "0123"]
    assert len(texts(draw_operations_on_edges(edges))) == 8 + 7
    with pytest.raises(SettingsError, match="no known cell"):
        draw_operations_on_edges([("a", "b", "none")])


def test_class_sizes_are_shares_of_cells():
    ax = plot_class_sizes({"one": Classes(np.array([0, 0, 0, 1])), "two": Classes(np.arange(4))})
    assert [bar.get_height() for bar in ax.patches] == [25, 0, 75, 100, 0, 0]


def test_partners_are_pairs_of_one_class_above_the_limit():
    classes = Classes(np.array([0, 1, 0, 0, 1, 2]))
    ax = plot_partners(classes, np.array([90.0, 91, 92, 10, 93, 94]), lowest=80)
    (bins,) = ax.collections
    assert bins.get_array().sum() == 2  # (90, 92) and (91, 93); the cell at 10 is below


def test_distances_of_zero_are_drawn():
    figure = plot_distances({"a": Distances(np.zeros(4), np.ones(4)), "b": Distances(np.empty(0), np.array([0.5, 2]))})
    first, second = figure.axes
    assert len(first.patches) == 2
    assert len(second.patches) == 1
    assert max(patch.get_path().vertices[:, 1].max() for patch in first.patches) == 100
