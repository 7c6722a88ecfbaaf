"""The page Performance, and what the benchmarks behind it share."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from a2v_core import performance
from a2v_core.errors import ArtifactError
from a2v_core.hashing import module_hash
from a2v_core.spaces.nasbench101 import NASBench101

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ROOT / "book" / "performance.json"


@pytest.fixture
def record(monkeypatch):
    """The module that the benchmarks share; they are scripts beside it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import record

    return record


@pytest.fixture
def parts(record):
    """One part with one step: turns of 2, 4 and 6 ms for us, 8, 8 and 60 ms for the other way."""
    seconds = {"mine": [2e-3, 4e-3, 6e-3], "theirs": [8e-3, 8e-3, 60e-3]}
    step = record.Step("A step", "Two ways.", "A third.", [
        record.row("an item", "mine", "theirs", seconds, "equal", record.Limit("reading 1 MB", 1e-3)),
        record.alone("all items", "mine", [2.5])], [
        record.Target("an item", 4.0, "<=", 5.0, "ms"), record.Target("items", 999.0, ">=", 1000.0, "a second")])
    origin = {"date": "2026-01-02 03:04 UTC", "commit": "0123456789abcdef", "dirty": True, "load": [9.5, 8.0],
              "wall_seconds": 20, "processor_seconds": 3,
              "machine": {"processor": "Some CPU", "cores": 2}, "versions": {"python": "3.11.0", "onnxruntime": "1"}}
    return [{"part": "some", "command": "benchmarks/some.py --turns 3", "origin": origin, "steps": [asdict(step)]}]


def test_a_ratio_is_taken_within_each_turn(record):
    seconds = {"mine": [1.0, 2.0, 4.0], "theirs": [2.0, 8.0, 12.0]}
    made = record.row("x", "mine", "theirs", seconds)
    assert (made.ratio, made.least, made.greatest, made.turns) == (3.0, 2.0, 4.0, 3)
    assert (made.seconds, made.other_seconds) == (2.0, 8.0)
    unequal = record.row("x", "mine", "theirs", seconds, unequal=True)
    assert (unequal.ratio, unequal.seconds) == pytest.approx((22 / 7, 7 / 3))


def test_ways_take_turns_and_times_are_per_item(record, monkeypatch):
    clock, called = iter(np.arange(0, 100, 0.25)), []
    monkeypatch.setattr(record.time, "process_time", lambda: next(clock))
    ways = {name: lambda name=name: called.append(name) or name for name in "ab"}
    seconds, results = record.in_turns(ways, 2, {"b": 10})
    assert called == ["a", "b"] * 3  # once to warm up
    assert seconds == {"a": [0.25, 0.25], "b": [0.025, 0.025]}
    assert results == {"a": "a", "b": "b"}


def test_the_plain_way_gives_the_same_validity_and_hashes(record):
    import embedding
    import plain_cells
    from spaces import decoded

    from a2v_core.spaces.nasbench101_enumeration import enumerate_cells

    space = NASBench101()
    cells = decoded(space, enumerate_cells()[::5000])[:500]
    listed = [(a.tolist(), ops.tolist()) for a, ops in zip(cells.adjacency, cells.ops, strict=True)]
    valid = space.is_valid(cells)
    assert 0 < valid.sum() < len(cells)
    assert [plain_cells.is_valid(*cell) for cell in listed] == valid.tolist()
    assert [plain_cells.module_hash(*cell).encode() for cell in listed] == module_hash(
        cells, space.hash_labels).tolist()
    kept = cells[np.flatnonzero(valid)]
    pruned = [plain_cells.module_hash(*plain_cells.prune(*cell)).encode() for cell in embedding.lists_of(kept)]
    assert pruned == space.keys(kept).tolist()


def test_the_page_says_what_the_numbers_say(parts):
    page = performance.render_page(parts)
    assert "| an item | mine | theirs | **4** (2 to 10) | 4 ms | 8 ms | equal |" in page
    assert "- All items, mine: 2.5 s." in page
    assert "reading 1 MB, 1 ms. Ours takes 4 times as long (25% of the limit)." in page
    assert "- **Not measured:** A third." in page
    assert "**Not measured yet:** `pretraining`, `embedding`, " in page
    assert "| An item | 4 ms | at most 5 ms | ✔ reached |" in page
    assert "| Items | 999 a second | at least 1,000 a second | ✘ missed |" in page
    assert ("| `benchmarks/some.py --turns 3` | 2026-01-02 03:04 UTC | `0123456789` with changes | 9.5, 8.0 | 20 s "
            "| 3 s |") in page
    assert "- Some CPU, 2 cores; python 3.11.0." in page


def test_every_part_has_a_command(record):
    import all as whole

    assert tuple(whole.COMMANDS) == performance.PARTS


def test_a_single_turn_has_no_range(parts):
    row = parts[0]["steps"][0]["rows"][0]
    row |= {"turns": 1, "least": row["ratio"], "greatest": row["ratio"]}
    assert "| **4** (one turn) |" in performance.render_page(parts)


def test_the_committed_page_is_what_its_numbers_give():
    page = performance.render_page(json.loads(NUMBERS.read_text(encoding="utf-8")))
    assert NUMBERS.with_suffix(".md").read_text(encoding="utf-8") == page, (
        "run: python -m a2v_core.performance book/performance.json")


def test_the_committed_numbers_are_clean_and_the_ways_agree():
    parts = json.loads(NUMBERS.read_text(encoding="utf-8"))
    rows = [row for part in parts for step in part["steps"] for row in step["rows"]]
    assert not [row for row in rows if "DIFFERENT" in row["same"]]
    assert all(part["origin"]["dirty"] is False for part in parts)


def test_the_page_is_written_beside_its_numbers_or_not_at_all(parts, tmp_path):
    numbers = tmp_path / "performance.json"
    numbers.write_text(json.dumps(parts))
    command = [sys.executable, "-m", "a2v_core.performance"]
    subprocess.run([*command, str(numbers)], check=True, capture_output=True)
    assert (tmp_path / "performance.md").read_text() == performance.render_page(parts)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage" in done.stderr
    (tmp_path / "performance.md").unlink()
    (tmp_path / "performance.md").mkdir()
    with pytest.raises(ArtifactError, match="cannot write"):
        performance.write_page(numbers)
