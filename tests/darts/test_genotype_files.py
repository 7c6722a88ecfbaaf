"""Genotypes as files."""

import json

import pytest

from a2v_core.darts.genotype_files import genotype_path, read_genotype_file, save_genotype
from a2v_core.errors import DataError, MissingDataError, SpaceError
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO, DARTS_SECOND_ORDER, NetworkGenotype


@pytest.mark.parametrize("genotype", [ARCH2VEC_BO, DARTS_SECOND_ORDER], ids=["one cell", "two cells"])
def test_what_is_written_is_read(tmp_path, genotype):
    path = genotype_path("found", tmp_path)
    save_genotype(path, genotype, {"method": "arch2vec_bo", "runs": 500})
    expected = genotype if isinstance(genotype, NetworkGenotype) else NetworkGenotype(genotype, genotype)
    assert read_genotype_file(path) == expected
    first = path.read_bytes()
    assert json.loads(first)["origin"] == {"method": "arch2vec_bo", "runs": 500}
    save_genotype(path, genotype, {"method": "arch2vec_bo", "runs": 500})
    assert path.read_bytes() == first
    assert path == tmp_path / "genotypes" / "found.json"


def test_the_text_form_alone_is_read(tmp_path):
    path = tmp_path / "cell.txt"
    path.write_text(f"\n{DARTS_SECOND_ORDER}\n")
    assert read_genotype_file(path) == DARTS_SECOND_ORDER


@pytest.mark.parametrize(("content", "error", "told"), [
    ("{", DataError, "damaged"), ("{}", DataError, "no entry"), ('{"genotype": [1]}', DataError, r"\[1\]"),
    ('{"genotype": "Genotype(normal=[])"}', SpaceError, "keywords"), ("cell", SpaceError, "form Genotype"),
    (b"\xff\xfe", DataError, "cannot be read")])
def test_a_bad_file_is_named(tmp_path, content, error, told):
    path = tmp_path / "cell.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=told):
        read_genotype_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"nowhere\.json does not exist"):
        read_genotype_file(tmp_path / "nowhere.json")
