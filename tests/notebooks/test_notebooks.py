import json
from pathlib import Path

import nbformat
import pytest

from a2v_core import study
from a2v_core.execution import code_of, parameter_names
from a2v_core.results import load_results

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_a_notebook_has_the_agreed_form(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    assert parameter_names(path)
    compile(code_of(path), str(path), "exec")


def test_a_notebook_runs_at_the_smallest_scale_from_any_folder_and_saves_its_numbers(path, tmp_path, monkeypatch):
    # Its kernel works in a scratch folder (tests/test_execution.py), so that it finds nothing beside itself.
    monkeypatch.chdir(tmp_path)
    (results,) = study.run([path.stem], profile="smoke", output=tmp_path / "results", root=ROOT)
    content = load_results(results)
    assert (content["notebook"], content["profile"]) == (path.stem, "smoke")
    assert [value for value in content["values"] if value["value"] is not None]
    executed = nbformat.read(results.with_suffix(".ipynb"), as_version=4)
    shown = json.dumps(executed)
    assert str(ROOT) not in shown
    assert str(Path.home()) + "/" not in shown
    warned = [output.text for cell in executed.cells for output in cell.get("outputs", [])
              if output.get("name") == "stderr"]
    assert warned == []
