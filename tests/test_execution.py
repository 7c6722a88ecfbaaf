import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from a2v_core.errors import SettingsError, StudyError
from a2v_core.execution import (
    COMMON_PARAMETERS,
    check_parameters,
    code_of,
    execute,
    notebook_digest,
    parameter_names,
    read_notebook,
    tidy,
)


def test_parameters_are_read_from_their_cell(tmp_path, write_notebook):
    path = write_notebook(tmp_path, "page")
    assert parameter_names(path) == [*COMMON_PARAMETERS, "width"]
    check_parameters(path, ["seed", "width"])
    with pytest.raises(SettingsError, match="'seeds', 'x': it knows profile"):
        check_parameters(path, ["seeds", "seed", "x"])


def test_a_notebook_without_the_agreed_parameters_is_refused(tmp_path, write_notebook):
    path = write_notebook(tmp_path, "page", parameters="profile = 'quick'\nseed = 0")
    with pytest.raises(StudyError, match="lacks device, data_dir, scheduler, results_path"):
        parameter_names(path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.tags = []
    nbformat.write(notebook, path)
    with pytest.raises(StudyError, match="has 0 cells tagged 'parameters'"):
        parameter_names(path)


def test_what_is_not_a_notebook_is_named(tmp_path):
    path = tmp_path / "page.ipynb"
    with pytest.raises(StudyError, match="does not exist"):
        read_notebook(path)
    for content in ("{", "{}", '{"cells": 1, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'):
        path.write_text(content)
        with pytest.raises(StudyError, match="is not a notebook"):
            read_notebook(path)


def test_the_digest_follows_the_source_and_not_the_outputs(tmp_path, write_notebook):
    first = notebook_digest(write_notebook(tmp_path, "a", "1 + 1"))
    assert notebook_digest(write_notebook(tmp_path, "b", "1 + 1")) == first
    assert notebook_digest(write_notebook(tmp_path, "c", "1 + 2")) != first
    assert notebook_digest(write_notebook(tmp_path, "d", "1 + 1", title="Another")) != first
    notebook = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    notebook.cells[-1].outputs = [new_output("stream", text="2")]
    nbformat.write(notebook, tmp_path / "a.ipynb")
    assert notebook_digest(tmp_path / "a.ipynb") == first


def test_code_leaves_commands_to_ipython_out(tmp_path, write_notebook):
    path = write_notebook(tmp_path, "page", "%matplotlib inline\nimport json\n!ls")
    assert code_of(path).endswith("\nimport json")
    compile(code_of(path), "page", "exec")


def test_the_kernel_is_this_interpreter_and_writes_nothing_into_the_home_folder(tmp_path, write_notebook, monkeypatch):
    home = tmp_path / "home"
    kernels = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("A2V_DATA_DIR", "relative")
    monkeypatch.chdir(tmp_path)
    path = write_notebook(tmp_path, "page", "import os, sys; print(sys.executable, os.environ['A2V_DATA_DIR'], "
                          "os.environ['DGLBACKEND'], seed)")
    executed = execute(path, {"seed": 7})
    assert executed.cells[-1].outputs[0].text.split() == [sys.executable, str(tmp_path / "relative"), "pytorch", "7"]
    assert not (home / ".ipython").exists()
    assert not (home / ".dgl").exists()


def test_the_kernel_works_in_a_folder_of_its_own_that_is_gone_afterwards(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_notebook(tmp_path, "page", "import os; print(os.getcwd(), *os.listdir())")
    folder, *there = execute(path, {}).cells[-1].outputs[0].text.split()
    assert not Path(folder).is_relative_to(tmp_path)
    assert not Path(folder).exists()
    assert "page.ipynb" not in there


def executed(*outputs, injected="seed = 1"):
    cells = [new_markdown_cell("# T", metadata={"tags": []}),
             new_code_cell(injected, metadata={"tags": ["injected-parameters"], "papermill": {"duration": 1.5}}),
             new_code_cell("f()", metadata={"execution": {"iopub.busy": "now"}, "tags": ["keep"]},
                           outputs=list(outputs))]
    kernel = {"name": "odd", "display_name": "Odd"}
    return new_notebook(cells=cells, metadata={"papermill": {"input_path": "/home/me/x"}, "kernelspec": kernel})


def test_a_tidied_copy_has_no_traces_of_the_run():
    notebook = executed(injected="# Parameters\nresults_path = \"/tmp/x\"\ndata_dir = \"/d\"\nseed = 1")
    tidy(notebook, {})
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    left = [dict(cell.metadata) for cell in notebook.cells]
    assert left == [{}, {"tags": ["injected-parameters"]}, {"tags": ["keep"]}]
    assert notebook.cells[1].source == "# Parameters\nseed = 1"
    assert [cell.id for cell in notebook.cells] == ["cell-0", "cell-1", "cell-2"]


@pytest.mark.parametrize(("text", "kept"), [
    ("\rtrain:   0%|          | 0/4 [00:00<?, ?it/s]\rtrain: 100%|##########| 4/4 [00:01<00:00,  3.7it/s]\n", None),
    ("\x1b[A", None),
    ("\r0it [00:00, ?it/s]\r12it [00:01, 11.5it/s]", None),
    ("/root/x.py:3: UserWarning: 50% | of it\n  warn()\n", "~/x.py:3: UserWarning: 50% | of it\n  warn()\n"),
    ("a\r 50%|#####     | 1/2 [00:01<00:01,  1.00s/it]\nnote\n", "a\nnote\n"),
])
def test_progress_bars_go_and_warnings_stay(text, kept):
    notebook = executed(new_output("stream", name="stderr", text=text))
    tidy(notebook, {"/root": "~"})
    outputs = notebook.cells[2].outputs
    assert (outputs[0].text if outputs else None) == kept


def test_streams_in_any_order_and_pieces_become_one_of_each():
    def cell(*streams):
        outputs = [new_output("stream", name=name, text=text) if name else new_output("display_data") for name, text
                   in streams]
        notebook = executed(*outputs)
        tidy(notebook, {})
        return [(output.get("name"), output.get("text")) for output in notebook.cells[2].outputs]

    expected = [("stderr", "w\n"), ("stdout", "a\nb\n"), (None, None), ("stdout", "c\n")]
    assert cell(("stdout", "a\n"), ("stderr", "w\n"), ("stdout", "b\n"), (None, None), ("stdout", "c\n")) == expected
    assert cell(("stderr", "w\n"), ("stdout", "a\nb\n"), (None, None), ("stdout", "c\n")) == expected


def test_bars_drawn_as_widgets_go_and_other_outputs_stay():
    bar = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "  0%| | 0/4"}
    notebook = executed(new_output("display_data", data=bar), new_output("display_data", data={"text/plain": "1"}))
    tidy(notebook, {})
    assert [output.data for output in notebook.cells[2].outputs] == [{"text/plain": "1"}]


def test_styled_tables_get_names_that_do_not_change():
    import pandas as pd

    def html():
        return pd.DataFrame({"a": [1, 2]}).style.format(precision=1).set_properties(color="red").to_html()

    copies = [executed(*(new_output("display_data", data={"text/html": html()}) for _ in range(2))) for _ in range(2)]
    for notebook in copies:
        tidy(notebook, {})
    assert copies[0] == copies[1]
    first, second = (output.data["text/html"] for output in copies[0].cells[2].outputs)
    assert "#T_2_0_row0_col0" in first
    assert "T_2_0" not in second


def test_folders_of_the_machine_are_replaced_in_every_text():
    data = {"text/plain": "'/project/a/b'", "text/html": "<i>/project/a/b /tmp/ipykernel_12/345.py</i>",
            "image/png": "/project/a"}
    notebook = executed(new_output("stream", text="/project/a/b and /project"), new_output("display_data", data=data))
    tidy(notebook, {"/project": "W", "/project/a": "A"})
    stream, shown = notebook.cells[2].outputs
    assert stream.text == "A/b and W"
    assert shown.data == {"text/plain": "'A/b'", "text/html": "<i>A/b /tmp/ipykernel</i>", "image/png": "/project/a"}


def test_names_drawn_for_a_run_are_cut_but_not_the_name_of_the_package():
    notebook = executed(new_output("stream", text="/tmp/a2v-x1y2z3_4/kernel.log: run python -m a2v_core data fetch"))
    tidy(notebook, {})
    (stream,) = notebook.cells[2].outputs
    assert stream.text == "/tmp/a2v/kernel.log: run python -m a2v_core data fetch"
