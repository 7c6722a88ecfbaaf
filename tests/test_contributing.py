"""The examples of CONTRIBUTING.md do what the text around them says. That of a space is in spaces/test_contract.py."""

import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from contributing import examples, install

from a2v_core import spaces, study
from a2v_core.benchmarks import build, cards, load_table, sources, tables
from a2v_core.results import load_results
from a2v_core.search.methods import get_method, method_names
from a2v_core.search.objective import Objective
from a2v_core.search.runs import Budget, run_searches

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path / "site"
    get_method.cache_clear()


def test_a_page(tmp_path, write_notebook, make_checkout):
    parameters, *cells = examples("Add a page").values()
    root = make_checkout(tmp_path / "checkout", "my_page")
    write_notebook(root / "notebooks", "my_page", *cells, parameters=parameters)
    (path,) = study.run(profile="smoke", root=root)
    (value,) = load_results(path)["values"]
    assert (value["id"], value["n"]) == ("beyond/my_page/mean_edges", 10)
    assert [page.state for page in study.status("smoke", root=root)] == ["fresh"]


def test_a_search_method(site):
    install("Add a search method", site)
    assert method_names()[-1] == "climber"
    space = spaces.get_space("nasbench201")
    accuracy = (space.cells().ops[:100] == space.cells().ops[7]).mean(1)
    objective = Objective("made", space, np.arange(100), (1,), accuracy[None, None], np.ones((1, 100)), accuracy,
                          accuracy, np.ones(100, bool))

    def cells(*seeds):
        method = get_method("climber")
        searcher = method.searcher_of(objective.problem(), seeds, method.settings_of())
        return run_searches(searcher, objective, Budget(queries=60), progress=False).cells.reshape(len(seeds), 60)

    batch = cells(3, 4)
    np.testing.assert_array_equal(batch[0], cells(3)[0])
    np.testing.assert_array_equal(batch[1], cells(4)[0])
    # A step from the best cell so far never lies further away than one operation.
    held = np.maximum.accumulate(accuracy[batch], axis=1)
    best = np.array([[row[:i + 1][accuracy[row[:i + 1]].argmax()] for i in range(60)] for row in batch])
    ops = space.cells().ops
    assert ((ops[batch[:, 1::2]] != ops[best[:, :-1:2]]).sum(2) <= 1).all()
    assert (held[:, -1] > held[:, 0]).all()
    # As a command, which finds the method in another process.
    listed = subprocess.run([sys.executable, "-m", "a2v_core", "search", "list"], capture_output=True, text=True,
                            check=True, env={"PYTHONPATH": f"{site}:{ROOT}", "PATH": ""})
    assert re.search(r"^climber +hill climbing +sees none$", listed.stdout, flags=re.MULTILINE)


def test_a_source_of_data(tmp_path, monkeypatch):
    files = examples("Add a source of data")
    written = tmp_path / "sources.toml"
    written.write_text(files.pop("a2v_core/benchmarks/sources.toml"))
    (source,) = sources.read_registry(written).values()
    monkeypatch.setitem(sources.REGISTRY, source.name, source)
    converter = types.ModuleType("convert_mine")
    exec(files.pop("a2v_core/benchmarks/convert_mine.py"), converter.__dict__)
    assert not files
    (table,) = converter.TABLES
    monkeypatch.setitem(tables.TABLES, table.name, table)
    path = sources.upstream_path(source, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text("index,accuracy\n0,0.5\n1,0.75\n")
    assert [result.state for result in build([table.name], tmp_path)] == ["built"]
    assert load_table(table.name, tmp_path)["accuracy"].tolist() == [0.5, 0.75]
    assert f"`{table.name}`" in cards.render_card(table)


def test_every_converter_is_named_where_the_text_says():
    converters = {f"a2v_core.benchmarks.{path.stem}" for path in Path(tables.__file__).parent.glob("convert_*.py")}
    assert converters == {name for name in tables._CONVERTERS if ".convert_" in name}
    made = {table.variants[-1].convert.__module__ for table in tables.TABLES.values()}
    assert made == converters
