import json

import jsonschema
import numpy as np
import pytest

from a2v_core.errors import ArtifactError, SettingsError, StudyError
from a2v_core.results import SCHEMA, Page, load_results, peak_memory_mb


@pytest.fixture
def page():
    return Page("obs1_pretraining", "quick")


def test_a_saved_page_is_read_back_and_fits_the_schema(page, tmp_path):
    page.add("table1/nasbench101/arch2vec/accuracy", 98.5, low=98.1, high=98.9, n=5, unit="%", recipe="released",
             definition="exact")
    page.add("table1/nasbench101/arch2vec/accuracy", np.float32(99), recipe="paper", definition="exact")
    page.add("fig13/steps", None)
    page.add_data("nb101", "a" * 64)
    page.add_data("official", None)
    path = tmp_path / "new" / "r.json"
    page.save(path)
    content = load_results(path)
    jsonschema.validate(content, SCHEMA)
    assert content["values"][0] == {"id": "table1/nasbench101/arch2vec/accuracy", "value": 98.5, "low": 98.1,
                                    "high": 98.9, "n": 5, "unit": "%", "recipe": "released", "definition": "exact"}
    assert content["values"][1]["value"] == 99
    assert content["values"][2]["value"] is None
    assert content["provenance"]["data"] == {"nb101": "a" * 64, "official": None}
    assert (content["notebook"], content["profile"]) == ("obs1_pretraining", "quick")


def test_without_a_path_nothing_is_written(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page.add("spaces/size", 1)
    assert page.save("") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("id", ["table6/x", "table1", "table1/", "table1//x", "/table1/x", "fig14/x", "fig0/x",
                                "table1/a b", "obs1/é", ""])
def test_an_identity_begins_with_its_subject(page, id):
    with pytest.raises(StudyError, match="is not an identity"):
        page.add(id, 1)


@pytest.mark.parametrize("id", ["table5/x", "obs5/a/b-c_d.e", "fig13/x", "encodings/fig7/round_trips",
                                "spaces/darts/size"])
def test_good_identities_are_taken(page, id):
    page.add(id, 1)
    assert page.as_dict()["values"][0]["id"] == id


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("nan")])
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_a_number_that_is_not_finite_is_refused(page, field, number):
    with pytest.raises(StudyError, match=rf"'obs2/x': {field} is (nan|inf)"):
        page.add("obs2/x", **({"value": 1.0} | {field: number}))
    assert page.as_dict()["values"] == []


@pytest.mark.parametrize("number", ["3", True, np.ones(2), 1j])
def test_what_is_not_one_number_is_refused(page, number):
    with pytest.raises(StudyError, match="'obs2/x'"):
        page.add("obs2/x", number)


def test_a_reversed_interval_and_a_negative_count_are_refused(page):
    with pytest.raises(StudyError, match="reversed"):
        page.add("obs2/x", 1, low=2, high=1)
    with pytest.raises(StudyError, match="n is -1"):
        page.add("obs2/x", 1, n=-1)


def test_the_same_number_twice_is_refused(page):
    page.add("obs2/x", 1, recipe="paper")
    page.add("obs2/x", 1, recipe="released")
    with pytest.raises(StudyError, match="recorded twice"):
        page.add("obs2/x", 2, recipe="paper")


def test_unknown_profile_bad_name_and_bad_digest():
    with pytest.raises(SettingsError, match="'fast' is unknown: choose one of smoke, quick, full"):
        Page("x", "fast")
    with pytest.raises(SettingsError, match="without folder"):
        Page("notebooks/x.ipynb", "quick")
    with pytest.raises(StudyError, match="not a SHA-256 digest"):
        Page("x", "quick").add_data("table", "abc")


def damage(**changes):
    content = Page("x", "quick").as_dict()
    content["values"] = [{"id": "obs2/x", "value": 1, "low": None, "high": None, "n": 1, "unit": "", "recipe": "",
                          "definition": ""}]
    return content | changes


@pytest.mark.parametrize(("content", "message"), [
    ("{", "is not a results file"),
    (b"\xff\xfe", "is not a results file"),
    ([], "at top level"),
    (damage(profile="fast"), "at profile"),
    (damage(provenance={}), "at provenance"),
    (damage(extra=1), "at top level"),
    (damage(values=[{"id": "obs2/x"}]), "at values/0"),
    (damage(values=damage()["values"] * 2), "occurs twice"),
    (damage(values=[damage()["values"][0] | {"id": "obs9/x"}]), "at values/0/id"),
    (json.dumps(damage(values=[damage()["values"][0] | {"value": float("nan")}])), "value is nan"),
])
def test_a_damaged_file_is_noticed_and_named(tmp_path, content, message):
    path = tmp_path / "r.json"
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StudyError, match=message) as caught:
        load_results(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(StudyError, match="study run obs3"):
        load_results(tmp_path / "obs3.json")


def test_a_failed_write_leaves_the_old_file(page, tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    page.save(path)
    before = path.read_bytes()
    page.add("obs2/x", 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ArtifactError, match="No space left"):
        page.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_peak_memory_is_that_of_this_process():
    held = np.ones(25_000_000)  # 200 MB
    assert held.nbytes / 1e6 < peak_memory_mb() < 20_000
