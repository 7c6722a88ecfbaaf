import multiprocessing
import os
import sys
from pathlib import Path

import pytest

NOTEBOOK = """import computations
from a2v_core.results import Page
models = computations.pretraining(data_dir)
runs, = computations.searching(data_dir)
page = Page("drill", profile)
page.add("obs2/drill/kl", models[0].record["history"][-1]["kl"])
page.add("obs2/drill/signal", runs.signal.mean(), n=len(runs))
print(models[1].latent_mean, runs.cells)
page.save(results_path)"""
TESTS = Path(__file__).resolve().parent.parent
FOLDERS = [str(folder) for folder in (TESTS, TESTS / "search", TESTS / "faults", TESTS.parent)]
sys.path[:0] = [folder for folder in FOLDERS if folder not in sys.path]


@pytest.fixture(scope="session")
def processes():
    """Starts real processes in some milliseconds each: they are forked from a server that has imported what they need
    and computes nothing itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "computations"])
    with pytest.MonkeyPatch.context() as patch:
        # The server is a process with a path of its own. It starts with the first process.
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [*FOLDERS, os.environ.get("PYTHONPATH")])))
        first = context.Process()
        first.start()
        first.join()
    return context


@pytest.fixture(scope="module", autouse=True)
def made_space(tmp_path_factory):
    """made_search (tests/search) as an installed package: its entry points are found here and in processes started from
    here."""
    from made_search import ENTRY_POINTS

    from a2v_core.search.methods import get_method
    from a2v_core.search.objectives import get_objective
    from a2v_core.spaces import get_space

    site = tmp_path_factory.mktemp("site")
    metadata = site / "made_search-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: made-search\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(site), *sys.path])
        yield site
    for cached in (get_method, get_objective, get_space):
        cached.cache_clear()


@pytest.fixture
def made_study(tmp_path, make_checkout, write_notebook, made_space):
    """A checkout with one page, whose notebook trains and searches into its data folder."""
    root = make_checkout(tmp_path / "checkout", "drill")
    path = f"import sys\nsys.path[:0] = {[str(made_space), *FOLDERS]}"
    write_notebook(root / "notebooks", "drill", path, NOTEBOOK)
    return root
