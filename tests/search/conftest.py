import sys

import pytest
from made_search import ENTRY_POINTS

from a2v_core.search.methods import get_method
from a2v_core.search.objectives import get_objective
from a2v_core.spaces import get_space


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """made_search as an installed package: its entry points are found here and in processes started from here. Gives
    the folder with its metadata."""
    site = tmp_path / "site"
    metadata = site / "made_search-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: made-search\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    yield site
    for cached in (get_method, get_objective, get_space):
        cached.cache_clear()
