"""The interactive maps: what goes to the page, how the page's script reads it, and where the script finds plotly."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from made_cells import random_cells

from a2v_core import sphinx_plotly
from a2v_core.cells import PAD
from a2v_core.errors import SettingsError, StudyError
from a2v_core.observations.interactive import PLOTLY_MIME, interactive_map, packed_cells

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "book" / "_static" / "latent_map.js"
CELLS = random_cells(30, 7, 5)
VOCABULARY = ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output")
RNG = np.random.default_rng(0)
ROWS = RNG.permutation(400_000)[:30]
ACCURACIES = RNG.uniform(0.1, 0.94, 30)
PLANES = {"first": RNG.normal(size=(30, 2)).astype(np.float32), "second": RNG.normal(size=(30, 2)).astype(np.float32)}


def made_map(planes=PLANES):
    return interactive_map(planes, ACCURACIES, ROWS, CELLS, VOCABULARY)


def page_data():
    html = made_map()._repr_mimebundle_()["text/html"]
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def decoded(entry):
    """An array as plotly's Python side writes it."""
    return np.frombuffer(base64.b64decode(entry["bdata"]), np.dtype(entry["dtype"]))


def test_packed_cells_hold_every_operation_and_edge():
    packed = packed_cells(CELLS)
    ops = np.frombuffer(base64.b64decode(packed["ops"]), np.uint8).reshape(30, 7)
    np.testing.assert_array_equal(ops, CELLS.ops)
    bits = np.unpackbits(np.frombuffer(base64.b64decode(packed["edges"]), np.uint8).reshape(30, -1), axis=1)[:, :21]
    adjacency = np.zeros_like(CELLS.adjacency)
    adjacency[:, *np.triu_indices(7, 1)] = bits
    np.testing.assert_array_equal(adjacency, CELLS.adjacency)
    assert (packed["nodes"], packed["count"]) == (7, 30)


def test_the_figure_has_a_trace_for_each_map_one_shown_at_a_time():
    figure = made_map().figure
    first, second, ring = figure.data
    assert (first.name, second.name) == ("first", "second")
    assert (first.visible, second.visible, len(ring.x)) == (True, False, 0)
    np.testing.assert_allclose(first.marker.color, 100 * ACCURACIES, rtol=1e-6)
    shape = PLANES["second"] - PLANES["second"].min(0)
    np.testing.assert_allclose(np.stack([second.x, second.y], 1) / 10_000, shape / shape.max(), atol=1e-4)
    chosen = figure.layout.updatemenus[0].buttons[1]
    assert chosen.args[0]["visible"] == [False, True, True]


def test_colours_mark_what_lies_beyond_the_ends():
    scale = made_map().figure.layout.coloraxis
    assert (scale.cmin, scale.cmax) == (82, 92)
    places, colours = zip(*scale.colorscale, strict=True)
    assert colours[0] == colours[1] == "#000000"
    assert colours[-1] == colours[-2] == "#d55e00"
    assert list(places) == sorted(places)
    assert (places[0], places[-1]) == (0, 1)


def test_the_page_gets_data_and_no_code():
    bundle = made_map()._repr_mimebundle_()
    assert set(bundle) == {PLOTLY_MIME, "text/html"}
    assert "http" not in bundle["text/html"]
    assert bundle["text/html"].count("<script") == 1
    data = page_data()
    assert data["figure"] == bundle[PLOTLY_MIME]
    assert "template" not in data["figure"]["layout"]
    assert data["names"] == ["in", "1x1", "3x3", "MP", "out"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(data["cells"]["rows"]), "<i4"), ROWS)
    np.testing.assert_allclose(decoded(data["figure"]["data"][0]["marker"]["color"]), 100 * ACCURACIES, rtol=1e-6)


def test_a_label_cannot_end_the_data():
    shown = made_map({"</script><b>": PLANES["first"]})._repr_mimebundle_()["text/html"]
    assert shown.count("</script>") == 1
    assert "<\\/script><b>" in shown


def test_collapsed_maps_are_left_out():
    lost = np.full((30, 2), np.nan)
    assert [trace.name for trace in made_map({"lost": lost, **PLANES}).figure.data][:2] == ["first", "second"]
    with pytest.raises(SettingsError, match="collapsed"):
        made_map({"lost": lost})


def test_maps_of_other_cells_are_refused():
    with pytest.raises(SettingsError, match="maps of 29, 30 cells"):
        made_map({"short": PLANES["first"][1:]})


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the page's script is not run")
def test_the_script_reads_and_draws_the_cells():
    program = """
        const {numbers, unpacker, drawing, sentence} = require(process.argv[1]);
        const page = JSON.parse(require("fs").readFileSync(0)), at = unpacker(page.cells), cells = [];
        for (let i = 0; i < page.cells.count; i++) cells.push(at(i));
        console.log(JSON.stringify({cells, x: Array.from(numbers(page.figure.data[0].x)),
            drawn: cells.map((cell) => drawing(cell, page.names, "a cell")),
            said: cells.map((cell) => sentence(cell, page.names))}));"""
    done = subprocess.run(["node", "-e", program, str(SCRIPT)], input=json.dumps(page_data()), capture_output=True,
                          text=True, check=True)
    read = json.loads(done.stdout)
    assert read["x"] == list(made_map().figure.data[0].x)
    for cell, adjacency, ops, drawn, said in zip(read["cells"], CELLS.adjacency, CELLS.ops, read["drawn"], read["said"],
                                                 strict=True):
        n = (ops != PAD).sum()
        assert cell["ops"] == ops[:n].tolist()
        assert cell["edges"] == np.argwhere(adjacency).tolist()
        assert drawn.count("<rect") == n
        assert drawn.count("marker-end") == adjacency.sum()
        assert "NaN" not in drawn
        heights = [int(y) for y in re.findall(r'<text x="[^"]*" y="(\d+)"', drawn)]
        layers = nx.topological_generations(nx.from_numpy_array(adjacency[:n, :n], create_using=nx.DiGraph))
        depth = {node: place for place, layer in enumerate(layers) for node in layer}
        assert heights == [52 * depth[node] + 4 for node in range(n)]
        assert said.count(" to ") == adjacency.sum()


# ------------------------------------------------------------------------------------------------ plotly.js in the book


def test_plotly_brings_its_script():
    assert "plotly.js" in sphinx_plotly.plotly_script().read_text(encoding="utf-8")[:200]


def test_a_missing_plotly_is_named(monkeypatch):
    def absent(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(sphinx_plotly, "files", absent)
    with pytest.raises(StudyError, match="pip install plotly"):
        sphinx_plotly.plotly_script()


@pytest.mark.parametrize(("form", "error", "copied"),
                         [("html", None, True), ("latex", None, False), ("html", ValueError("x"), False)])
def test_the_script_is_copied_into_finished_html(tmp_path, form, error, copied):
    connected = {}
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format=form), connect=connected.__setitem__)
    assert sphinx_plotly.setup(app)["parallel_read_safe"]
    connected["build-finished"](app, error)
    target = tmp_path / "_static" / "plotly.min.js"
    assert target.is_file() == copied
    assert not copied or target.read_bytes() == sphinx_plotly.plotly_script().read_bytes()
