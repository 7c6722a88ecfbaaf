"""What the figures show: positions, marks, labels and intervals are read back from the drawn objects."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch

from a2v_core import plotting
from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
from a2v_core.stats import Estimate

VOCABULARY = ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output")


@pytest.fixture(autouse=True)
def _style():
    with mpl.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


def cell(ops: list[int], edges: list[tuple[int, int]], n: int = 5) -> Cells:
    adjacency, codes = np.zeros((1, n, n), np.uint8), np.full((1, n), PAD, np.uint8)
    codes[0, :len(ops)] = ops
    adjacency[(0, *zip(*edges, strict=True))] = 1
    return Cells(adjacency, codes)


DIAMOND = cell([0, 1, 2, 4], [(0, 1), (0, 2), (1, 3), (2, 3)])
CHAIN = cell([0, 1, 3, 2, 4], [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)])


def arrows_of(ax) -> list[FancyArrowPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_drawn_cell_has_its_nodes_and_edges_and_no_padding():
    ax = plotting.draw_cell(DIAMOND, VOCABULARY, title="a cell", caption="no edits")
    labels = [text.get_text() for text in ax.texts]
    assert sorted(labels) == ["1x1", "3x3", "in", "no edits", "out"]
    assert ax.get_title() == "a cell"
    # From the lower border of one node to the upper border of the other; the shaft ends a little before its tip.
    places = {text.get_text(): np.array(text.get_position()) for text in ax.texts}
    arrows = [arrow.get_path().vertices for arrow in arrows_of(ax)]
    assert len(arrows) == 4
    for source, target in (("in", "1x1"), ("in", "3x3"), ("1x1", "out"), ("3x3", "out")):
        start, end = places[source] - [0, 0.26], places[target] + [0, 0.26]
        assert any(np.allclose(vertices[0], start, atol=0.02) and np.abs(vertices - end).sum(1).min() < 0.1
                   for vertices in arrows)


def test_a_long_edge_passes_the_nodes_between():
    ax = plotting.draw_cell(CHAIN, VOCABULARY)
    widest = [np.ptp(arrow.get_path().vertices[:, 0]) for arrow in arrows_of(ax)]
    assert max(widest) > 0.5
    assert ax.get_xlim()[1] - ax.get_xlim()[0] > 1.5
    assert ax.get_ylim() == (-4.5, 0.5)


def test_new_edges_are_dashed_and_heavy():
    new = np.zeros((5, 5), bool)
    new[0, 2] = True
    arrows = arrows_of(plotting.draw_cell(DIAMOND, VOCABULARY, new_edges=new))
    assert sorted(arrow.get_linewidth() for arrow in arrows) == [0.9, 0.9, 0.9, 1.8]
    assert len({arrow.get_linestyle() for arrow in arrows}) == 2


def test_changed_nodes_are_marked_by_sign_and_border():
    other = cell([0, 3, 2, 4], [(0, 1), (0, 2), (1, 3), (2, 3)])
    changed = plotting.changed_nodes(DIAMOND, other)
    assert changed.tolist() == [False, True, False, False, False]
    ax = plotting.draw_cell(other, VOCABULARY, changed=changed)
    boxes = {text.get_text(): text.get_bbox_patch() for text in ax.texts if text.get_text()}
    assert set(boxes) == {"in", "MP*", "3x3", "out"}
    assert boxes["MP*"].get_linewidth() > boxes["3x3"].get_linewidth()
    assert plotting.changed_nodes(DIAMOND, CHAIN).tolist() == [False, False, True, True, True]


def test_sequence_marks_changes_against_the_cell_before():
    cells = Cells(np.concatenate([DIAMOND.adjacency, DIAMOND.adjacency, CHAIN.adjacency]),
                  np.concatenate([DIAMOND.ops, DIAMOND.ops, CHAIN.ops]))
    figure = plotting.draw_cells(cells, VOCABULARY, ["a", "b", "c"], columns=2)
    assert len(figure.axes) == 4
    marks = [sum(text.get_text().endswith("*") for text in ax.texts) for ax in figure.axes]
    assert marks == [0, 0, 3, 0]
    given = [(np.zeros(5, bool), np.zeros((5, 5), bool)), (np.arange(5) == 1, np.zeros((5, 5), bool))]
    matched = plotting.draw_cells(cells, VOCABULARY, columns=2, changes=given, captions=["", "0 edits", "1 edit"])
    assert [sum(text.get_text().endswith("*") for text in ax.texts) for ax in matched.axes] == [0, 0, 1, 0]
    assert [text.get_text() for text in matched.axes[2].texts][-1] == "1 edit"
    # One scale: as many inches a unit in every drawing of a row, and all as wide as the widest.
    assert len({ax.get_xlim() for ax in matched.axes[:3]}) == 1
    unmarked = plotting.draw_cells(cells, VOCABULARY, mark_changes=False)
    assert not any(text.get_text().endswith("*") for ax in unmarked.axes for text in ax.texts)


def test_intervals_and_paper_values_are_where_they_belong():
    ours = {"exact": {"GAE": Estimate(50, 45, 56, 3), "arch2vec": Estimate(60, 58, 61, 3)},
            "released": {"GAE": Estimate(80, 79, 82, 3)}}
    ax = plotting.plot_intervals(ours, {"arch2vec": 44.97, "VGAE": 41.18}, "validity (%)")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["GAE", "arch2vec", "VGAE"]
    exact = ax.containers[0]
    assert exact.lines[0].get_xdata().tolist() == [50, 60]
    segments = exact.lines[2][0].get_segments()
    assert [segment[:, 0].tolist() for segment in segments] == [[45, 56], [58, 61]]
    paper = next(line for line in ax.lines if line.get_label() == "paper")
    assert (paper.get_xdata().tolist(), paper.get_ydata().tolist()) == ([44.97, 41.18], [1, 2])
    assert exact.lines[0].get_marker() != ax.containers[1].lines[0].get_marker()


def test_figures_are_vectors_with_readable_text_and_the_same_bytes_every_time():
    def svg() -> bytes:
        buffer = io.BytesIO()
        plotting.draw_cells(DIAMOND, VOCABULARY).savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    first = svg()
    assert first == svg()
    texts = [node.text for node in ElementTree.fromstring(first).iter("{http://www.w3.org/2000/svg}text")]
    assert {"in", "1x1", "3x3", "out"} <= set(texts)


def test_no_series_is_told_by_colour_alone():
    assert len({colour for colour, _ in plotting.SERIES}) == len({marker for _, marker in plotting.SERIES}) == 6


@pytest.mark.parametrize("call", [
    lambda: plotting.draw_cell(Cells(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)), VOCABULARY),
    lambda: plotting.draw_cell(DIAMOND, VOCABULARY[:3]),
    lambda: plotting.draw_cells(DIAMOND[0:0], VOCABULARY),
    lambda: plotting.draw_cells(DIAMOND, VOCABULARY, ["a", "b"]),
    lambda: plotting.draw_cells(DIAMOND, VOCABULARY, captions=["a", "b"]),
    lambda: plotting.draw_cells(DIAMOND, VOCABULARY, changes=[(np.zeros(5, bool), np.zeros((5, 5), bool))]),
    lambda: plotting.changed_nodes(DIAMOND, cell([0, 4], [(0, 1)], n=3)),
    lambda: plotting.plot_intervals({}),
])
def test_bad_input_is_refused(call):
    with pytest.raises(SettingsError):
        call()
