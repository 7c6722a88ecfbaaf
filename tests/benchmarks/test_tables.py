import errno
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_files import CSV, TESTS

from a2v_core.benchmarks import available, build, load_table, sources, table_names, table_path, tables
from a2v_core.benchmarks.convert_nasbench201 import DATASETS
from a2v_core.errors import ArtifactError, DataError, DigestError, MissingDataError, SettingsError, SpaceError


def forget_sources(root):
    for name in TESTS:
        sources.upstream_path(sources.get_source(name), root).unlink()


def test_a_fresh_machine_has_the_validation_table_and_hears_what_is_missing(root):
    results = {result.name: result for result in build(None, root)}
    assert set(results) == set(tables.TABLES)
    assert results.pop("nb201_validation200").state == "built"
    for name, result in results.items():
        assert result.state == "missing"
        assert f"python -m a2v_core data fetch {name}" in str(result)
    assert os.listdir(root / "tables") == ["nb201_validation200.parquet"]
    assert [name for name in table_names() if available(name, root)] == ["nb201_validation200"]


def test_a_table_is_built_once_and_tells_what_it_is_made_of(root, small_test200):
    assert [result.state for result in build(["nb201_test200"], root)] == ["built"]
    assert [result.state for result in build(["nb201_test200"], root)] == ["present"]
    frame = load_table("nb201_test200", root)
    assert frame["test200_mean"].tolist() == [0.5, 1.5, 2.5, 3.5] * 3
    assert frame["dataset"].tolist() == [name for name in DATASETS for _ in range(4)]
    meta = frame.attrs["a2v"]
    assert meta["variant"] == "public"
    assert meta["sources"] == {name: sources.get_source(name).digest for name in TESTS}
    forget_sources(root)
    again = load_table("nb201_test200", root)
    pd.testing.assert_frame_equal(again, frame)
    assert available("nb201_test200", root)


def test_the_content_digest_follows_the_values_and_nothing_else(root, small_test200, register):
    first = load_table("nb201_test200", root).attrs["a2v"]["content"]
    table_path("nb201_test200", root).unlink()
    assert load_table("nb201_test200", root).attrs["a2v"]["content"] == first
    register(TESTS[0], CSV + b"\n")
    assert load_table("nb201_test200", root).attrs["a2v"]["content"] == first
    register(TESTS[0], CSV.replace(b"3.5", b"3.6"))
    assert load_table("nb201_test200", root).attrs["a2v"]["content"] != first


def test_other_content_of_a_source_or_another_converter_makes_the_table_anew(root, small_test200, register,
                                                                             monkeypatch):
    build(["nb201_test200"], root)
    register(TESTS[0], CSV.replace(b"0.5", b"9.5"))
    assert load_table("nb201_test200", root)["test200_mean"][0] == 9.5
    monkeypatch.setattr(tables, "_converter_digest", lambda: "another")
    assert [result.state for result in build(["nb201_test200"], root)] == ["built"]
    assert load_table("nb201_test200", root).attrs["a2v"]["converter"] == "another"


def test_a_damaged_table_is_made_again_or_refused(root, small_test200):
    build(["nb201_test200"], root)
    path = table_path("nb201_test200", root)
    good = path.read_bytes()
    for damaged in (good[:100], b"", good[:40] + bytes([good[40] ^ 0xFF]) + good[41:]):
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="making it again"):
            assert len(load_table("nb201_test200", root)) == 12
        assert path.read_bytes() == good
        path.write_bytes(damaged)
    forget_sources(root)
    with pytest.raises(DataError, match=r"is damaged .*python -m a2v_core data build nb201_test200"):
        load_table("nb201_test200", root)


def test_a_table_without_a_column_or_a_provenance_is_refused(root, small_test200):
    build(["nb201_test200"], root)
    forget_sources(root)
    path = table_path("nb201_test200", root)
    content = pq.read_table(path)
    pq.write_table(content.drop_columns(["test200_mean"]), path)
    with pytest.raises(DataError, match="lacks the column 'test200_mean'"):
        load_table("nb201_test200", root)
    pq.write_table(content.replace_schema_metadata({}), path)
    with pytest.raises(DataError, match="does not tell what it was made of"):
        load_table("nb201_test200", root)


def test_no_flipped_bit_changes_a_value_or_escapes_as_another_error(root, small_test200):
    build(["nb201_test200"], root)
    forget_sources(root)
    path = table_path("nb201_test200", root)
    good, frame = path.read_bytes(), load_table("nb201_test200", root)
    refused = 0
    for position in range(0, len(good), 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1:])
        try:
            pd.testing.assert_frame_equal(load_table("nb201_test200", root), frame)
        except DataError:
            refused += 1
    assert refused > len(good) / 7 / 4


def test_a_full_disk_leaves_the_table_that_was_there(root, small_test200, register, monkeypatch):
    build(["nb201_test200"], root)
    path = table_path("nb201_test200", root)
    before = path.read_bytes()
    register(TESTS[0], CSV.replace(b"0.5", b"9.5"))

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("a2v_core.artifacts.os.fsync", full)
    with pytest.raises(ArtifactError, match="No space left"):
        build(["nb201_test200"], root)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    with pytest.warns(UserWarning, match="is not kept: .*No space left"):
        assert load_table("nb201_test200", root)["test200_mean"][0] == 9.5


def test_a_folder_that_cannot_be_written_costs_the_file_not_the_table(root, small_test200):
    (root / "tables").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="is not kept"):
        assert len(load_table("nb201_test200", root)) == 12
    with pytest.raises(ArtifactError, match="cannot write"):
        build(["nb201_test200"], root)


def test_a_missing_table_is_told_with_file_address_size_digest_and_command(root):
    with pytest.raises(MissingDataError) as error:
        load_table("nb201_epoch12", root)
    source = sources.get_source("nb201-epoch12")
    for part in (source.path, source.url, source.size, source.sha256, "python -m a2v_core data fetch nb201_epoch12"):
        assert part in str(error.value)
    with pytest.raises(MissingDataError):
        build(["nb201_epoch12"], root)


def test_unknown_tables_and_spaces_are_refused():
    for call in (load_table, available, lambda name: build([name])):
        with pytest.raises(SettingsError, match=r"unknown table 'nb201_tset200': did you mean nb201_test200"):
            call("nb201_tset200")
    with pytest.raises(SpaceError, match=r"'nasbench301': known are darts, nasbench101, nasbench201"):
        table_names("nasbench301")
    assert table_names("darts") == ["darts214"]


def test_a_damaged_upstream_file_is_refused_and_does_not_keep_others_from_being_made(root, small_test200):
    build(["nb201_test200"], root)
    path = sources.upstream_path(sources.get_source(TESTS[1]), root)
    path.write_bytes(CSV[:-1])
    table_path("nb201_test200", root).unlink()
    with pytest.raises(DigestError, match="does not have the registered digest"):
        build(["nb201_test200"], root)
    states = {result.name: result.state for result in build(None, root)}
    assert states["nb201_test200"] == "failed"
    assert states["nb201_validation200"] == "built"
    assert not table_path("nb201_test200", root).exists()
