"""Notebooks as the study handles them: read, check their parameters, execute, tidy the executed copy.

A notebook of the study has exactly one cell tagged ``parameters``, which sets :data:`COMMON_PARAMETERS` and
whatever else the page varies.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2v_core.errors import SettingsError, StudyError
from a2v_core.paths import DATA_DIR_VARIABLE, MIRROR_VARIABLE

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Parameters that every notebook of the study has.
COMMON_PARAMETERS = ("profile", "seed", "device", "data_dir", "scheduler", "results_path")
#: Parameters that say where files are on this machine; they do not belong into a published copy.
PATH_PARAMETERS = ("data_dir", "results_path")

_INJECTED = "injected-parameters"
_LOG = "kernel.log"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# What a tqdm bar leaves in a stream: "name:  40%|####      | 4/10 [00:01<00:02]" or, without a total, "4it [00:01, …]".
_PROGRESS = re.compile(r"\d+%\|.*\||\d+\S*it \[\d+:\d+|\[\d+:\d+<\S+, .*/s\S*\]")

# Names drawn for one run: our scratch folder, and the file that stands for a cell in a warning.
_TEMPORARY_NAME = re.compile(r"\b(a2v(?=-)|ipykernel(?=_))[-_]\w+(?:/\d+\.py)?")

# pandas gives each styled table a random name.
_STYLED_TABLE = re.compile(r"\bT_[0-9a-f]{5}(?![0-9a-f])")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook. Raises StudyError when it is missing or damaged."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise StudyError(f"notebook {path} does not exist") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError) as error:
        # nbformat meets a file that is JSON but no notebook with whichever of these comes first.
        raise StudyError(f"{path} is not a notebook: {_first_line(str(error))}") from error
    return notebook


def notebook_digest(path: Path) -> str:
    """SHA-256 over the kind, tags and source of every cell: what the page says and does, without outputs."""
    cells = [[cell.cell_type, _tags(cell), cell.source] for cell in read_notebook(path).cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def code_of(path: Path) -> str:
    """The Python source of all code cells, without lines that are commands to IPython (``%``, ``!``)."""
    sources = [cell.source for cell in read_notebook(path).cells if cell.cell_type == "code"]
    lines = "\n".join(sources).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def parameter_names(path: Path) -> list[str]:
    """Names that the parameters cell sets, in its order.

    Raises:
        StudyError: there is not exactly one such cell, or it lacks one of :data:`COMMON_PARAMETERS`.
    """
    from papermill.translators import PythonTranslator

    tagged = [cell for cell in read_notebook(path).cells if "parameters" in _tags(cell)]
    if len(tagged) != 1:
        raise StudyError(f"{path.name} has {len(tagged)} cells tagged 'parameters': a page of the study has one")
    names = [parameter.name for parameter in PythonTranslator.inspect(tagged[0])]
    if lacking := [name for name in COMMON_PARAMETERS if name not in names]:
        raise StudyError(f"{path.name}: its parameters cell lacks {', '.join(lacking)}")
    return names


def check_parameters(path: Path, names: Iterable[str]) -> None:
    """Refuse parameters that the notebook does not have.

    Raises:
        SettingsError: a name is unknown; the message lists the known ones.
        StudyError: the notebook's parameters cell is not of the agreed form.
    """
    known = parameter_names(path)
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"{path.name} has no parameter {', '.join(map(repr, unknown))}: "
                            f"it knows {', '.join(known)}")


def execute(path: Path, parameters: Mapping[str, Any]) -> NotebookNode:
    """Run a notebook in a fresh kernel of the running interpreter and return the executed copy.

    The kernel works in a scratch folder that is removed afterwards, and reads no IPython start-up file of the user.

    Raises:
        SettingsError: a parameter is unknown.
        StudyError: a cell failed, or the kernel died; the message names the notebook, the cell (counted from 1 in
            the notebook as written) and its line.
    """
    import nbclient
    import papermill

    check_parameters(path, parameters)
    shown = sys.stderr.isatty()
    with tempfile.TemporaryDirectory(prefix="a2v-") as scratch:
        try:
            return papermill.execute_notebook(
                read_notebook(path), None, dict(parameters), kernel_name="python3", language="python",
                kernel_manager_class=_kernel_manager(scratch), cwd=scratch, start_timeout=180,
                progress_bar=shown, stderr_file=sys.stderr if shown else None)
        except papermill.PapermillExecutionError as error:
            raise StudyError(_describe_failure(path, error)) from error
        except nbclient.exceptions.DeadKernelError as error:
            log = (Path(scratch) / _LOG).read_text(errors="replace").strip().splitlines()
            raise StudyError(f"{path.name}: its kernel died, most often for want of memory: free some, or choose a "
                             f"smaller profile; its last words: {log[-1] if log else 'none'}") from error
        except KeyboardInterrupt:
            # Tasks that are dropped in mid-air complain through the log, which ends up on stderr.
            logging.disable(logging.CRITICAL)
            raise
        except RuntimeError as error:
            raise StudyError(f"{path.name}: no kernel ({_first_line(str(error))}): "
                             "reinstall ipykernel in this environment") from error


def tidy(notebook: NotebookNode, replacements: Mapping[str, str]) -> None:
    """Make an executed copy fit to publish, in place: the same run on another machine differs only in its numbers.

    Removes timings, paths and progress bars; `replacements` maps folder names of this machine to neutral ones.
    """
    notebook.metadata.clear()
    notebook.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.language_info = {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        for noise in ("papermill", "execution", *(() if _tags(cell) else ("tags",))):
            cell.metadata.pop(noise, None)
        if cell.cell_type != "code":
            continue
        if _INJECTED in _tags(cell):
            kept = (line for line in cell.source.splitlines() if line.split(" = ")[0] not in PATH_PARAMETERS)
            cell.source = "\n".join(kept)
        outputs = [tidied for output in cell.outputs if (tidied := _tidy_output(output, replacements))]
        cell.outputs = _streams_in_fixed_order(outputs)
        for place, output in enumerate(cell.outputs):
            if html := output.get("data", {}).get("text/html"):
                output.data["text/html"] = _STYLED_TABLE.sub(f"T_{number}_{place}", html)


def _kernel_manager(scratch: str) -> type:
    """A kernel manager that starts this very interpreter, whatever kernels are registered on the machine."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    environment = {"DGLBACKEND": "pytorch", "PYTHONHASHSEED": "0", "IPYTHONDIR": str(Path(scratch) / "ipython")}
    for variable in (DATA_DIR_VARIABLE, MIRROR_VARIABLE):
        if value := os.environ.get(variable):
            # The kernel works in another folder, so a relative path would point elsewhere.
            environment[variable] = str(Path(value).expanduser().resolve())

    # nbclient takes over these signals and then reports a dead kernel; an interruption must stay an interruption.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                              display_name="Python 3", language="python", env=environment)

        async def start_kernel(self, **options: Any) -> None:
            # What a cell prints and raises travels as messages. This is the rest: the kernel's own log, and the
            # complaints of worker processes that end with it.
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():
                    asyncio.get_running_loop().remove_signal_handler(number)
                    signal.signal(number, handler)
            with open(Path(scratch) / _LOG, "a") as log:
                await super().start_kernel(**options, stdout=log, stderr=log)

    return ThisInterpreter


def _describe_failure(path: Path, error: Any) -> str:
    cells = read_notebook(path).cells
    parameters_cell = next(i for i, cell in enumerate(cells) if "parameters" in _tags(cell))
    # papermill inserts one cell after the parameters cell; the reader counts the cells of the notebook as written.
    number = error.cell_index + 1 - (error.cell_index > parameters_cell)
    text = _ANSI.sub("", "\n".join(error.traceback))
    arrow = re.search(r"^-+>\s*(\d+)\s+(.*)$", text, flags=re.MULTILINE)
    line = f" at line {arrow.group(1)} `{arrow.group(2).strip()}`" if arrow else ""
    return f"{path.name}: cell {number} failed{line}: {error.ename}: {_first_line(error.evalue)}"


def _streams_in_fixed_order(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Stream outputs that follow one another as one stderr and one stdout: they travel through two pipes, so their
    order and their pieces change from run to run."""
    ordered: list[NotebookNode] = []
    for is_stream, group in itertools.groupby(outputs, lambda output: output.output_type == "stream"):
        if not is_stream:
            ordered += group
            continue
        by_name: dict[str, NotebookNode] = {}
        for output in group:
            if output.name in by_name:
                by_name[output.name].text += output.text
            else:
                by_name[output.name] = output
        ordered += [by_name[name] for name in sorted(by_name)]
    return ordered


def _tidy_output(output: NotebookNode, replacements: Mapping[str, str]) -> NotebookNode | None:
    if output.output_type == "stream":
        if output.name == "stderr":
            output.text = _without_progress(output.text)
        output.text = _replace(output.text, replacements)
        return output if output.text.strip() else None
    # A progress bar drawn as a widget is an empty box without the process that drew it.
    if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
        return None
    for kind, content in output.get("data", {}).items():
        if isinstance(content, str) and not kind.startswith("image/png"):
            output.data[kind] = _replace(content, replacements)
    return output


def _without_progress(text: str) -> str:
    # Bars below one another move the cursor between them.
    lines = (part for line in text.replace("\x1b[A", "").split("\n") for part in line.split("\r"))
    return "\n".join(line for line in lines if not _PROGRESS.search(line))


def _replace(text: str, replacements: Mapping[str, str]) -> str:
    # Longest first, so that a folder is replaced before the folder that holds it.
    for folder in sorted(replacements, key=len, reverse=True):
        text = text.replace(folder, replacements[folder])
    return _TEMPORARY_NAME.sub(r"\1", text)


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:300] if lines else "no message"
