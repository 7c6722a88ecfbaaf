import re
import subprocess
import sys
from pathlib import Path

import pytest

from a2v_core.benchmarks import sources, tables
from a2v_core.benchmarks.cards import render_card, render_cards, write_cards
from a2v_core.errors import ArtifactError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_table_has_a_complete_card():
    page = render_cards()
    for table in tables.TABLES.values():
        card = render_card(table)
        assert card in page
        for text in (table.name, table.title, table.measured, table.repeats, *table.caveats):
            assert text in card
        for variant in table.variants:
            for column in (*table.columns, *variant.columns):
                assert f"| `{column.name}` |" in card
                assert column.meaning
            for name in variant.sources:
                source = sources.get_source(name)
                for text in (name, source.licence, source.size, source.sha256 or source.digest):
                    assert text in card


def test_every_source_is_on_the_page():
    page = render_cards()
    for source in sources.REGISTRY.values():
        assert f"`{source.name}`" in page
        assert source.package or source.address in page


def test_the_committed_page_and_index_are_up_to_date():
    committed = REPOSITORY / "book" / "data_cards.md"
    assert committed.read_text() == render_cards(), "run: python -m a2v_core.benchmarks.cards book/data_cards.md"
    index = (REPOSITORY / "data" / "README.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", index, flags=re.MULTILINE)) == set(tables.TABLES)
    for name in ("nb101-official", "nats-tss", "nats-tss-simple"):
        assert Path(sources.get_source(name).path).name in index


def test_the_page_is_written_whole_or_not_at_all(tmp_path):
    path = write_cards(tmp_path / "book" / "data_cards.md")
    assert path.read_text() == render_cards()
    with pytest.raises(ArtifactError, match="cannot write"):
        write_cards(path / "below_a_file.md")


def test_the_command_needs_a_path(tmp_path):
    command = [sys.executable, "-m", "a2v_core.benchmarks.cards"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage" in done.stderr
    subprocess.run([*command, str(tmp_path / "cards.md")], check=True)
    assert (tmp_path / "cards.md").read_text() == render_cards()
