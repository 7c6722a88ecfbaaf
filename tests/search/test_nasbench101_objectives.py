import numpy as np
import pytest
from made_nasbench101 import N_MEASURED, SmallSpace, tables

from a2v_core.benchmarks import available
from a2v_core.errors import DataError, MissingDataError, SettingsError
from a2v_core.search import nasbench101_objectives as nasbench101
from a2v_core.search.nasbench101_objectives import BUDGET_SECONDS, EPOCHS, available_objectives, objective

SMALL = SmallSpace()
SHARES = np.array([4, 12, 36, 108]) / 108


@pytest.fixture
def given(monkeypatch):
    """Put tables of the small space in place of those of the whole."""

    def of(found):
        monkeypatch.setattr(nasbench101, "get_space", lambda name: SMALL)
        monkeypatch.setattr(nasbench101, "load_table", lambda name, data_dir="": found[name])
        return found

    return of


@pytest.fixture
def real():
    """Whether the public tables of the whole space are here."""
    if not (available("nb101_test") and available("nb101_validation")):
        pytest.skip("needs the NAS-Bench-101 tables: python -m a2v_core data build nb101_test nb101_validation")
    if "imputed" not in available_objectives():
        pytest.skip("the official table is here: nothing is imputed")


def measured_rows(found):
    return SMALL.rows_of_keys(found["nb101_validation"]["module_hash"].to_numpy("S32"))


# ------------------------------------------------------------------------------------------------- public tables


def test_the_measured_cells_alone(given):
    found = given(tables(SMALL))
    made = objective("measured")
    sample = found["nb101_validation"]
    assert (made.name, made.epochs, len(made)) == ("nasbench101/measured", EPOCHS, N_MEASURED)
    np.testing.assert_array_equal(made.rows, measured_rows(found))
    np.testing.assert_array_equal(made.signal[:, 0], sample[[f"validation_{e}" for e in EPOCHS]].to_numpy().T)
    np.testing.assert_allclose(made.seconds, SHARES[:, None] * sample["training_seconds"].to_numpy())
    np.testing.assert_array_equal(made.validation, sample["validation_108"])
    np.testing.assert_array_equal(made.test, found["nb101_test"]["test_mean"].to_numpy()[made.rows])
    assert made.measured.all()
    assert made.data == {"nb101_test": "content of nb101_test", "nb101_validation": "content of nb101_validation"}


def test_the_whole_space_with_imputed_labels(given, tmp_path):
    found = given(tables(SMALL))
    whole, part = objective("imputed", tmp_path), objective("measured", tmp_path)
    np.testing.assert_array_equal(whole.rows, np.arange(len(SMALL.cells())))
    np.testing.assert_array_equal(np.flatnonzero(whole.measured), part.rows)
    for name in ("validation", "test"):
        np.testing.assert_array_equal(getattr(whole, name)[part.rows], getattr(part, name))
    np.testing.assert_array_equal(whole.signal[:, :, part.rows], part.signal)
    np.testing.assert_array_equal(whole.seconds[:, part.rows], part.seconds)
    np.testing.assert_array_equal(whole.validation, whole.signal[-1, 0])
    np.testing.assert_array_equal(whole.test, found["nb101_test"]["test_mean"])
    np.testing.assert_allclose(whole.seconds, SHARES[:, None] * whole.seconds[-1])
    # Errors at the ends of a training are in the proportion of the donor, at all lengths alike.
    donors, others = part.signal[:, 0], np.flatnonzero(~whole.measured)
    assert (np.isin(whole.seconds[-1, others], part.seconds[-1])).mean() < 0.5
    kept = whole.signal[:, 0, others][:, whole.signal[0, 0, others] > donors[0].min()]
    ratios = (1 - kept[:-1]) / (1 - kept[1:])
    known = (1 - donors[:-1]) / (1 - donors[1:])
    assert (np.abs(ratios[:, :, None] - known[:, None]).max(0).min(1) < 1e-12).all()


def test_the_imputed_table_is_the_same_however_it_is_come_by(given, tmp_path, monkeypatch):
    given(tables(SMALL))
    first = objective("imputed", tmp_path / "one").digest
    assert objective("imputed", tmp_path / "two").digest == first
    monkeypatch.setattr(nasbench101, "impute", None)
    assert objective("imputed", tmp_path / "one").digest == first  # kept


def test_other_tables_are_imputed_anew(given, tmp_path):
    given(tables(SMALL))
    first = objective("imputed", tmp_path)
    other = tables(SMALL, seed=1)
    for frame in other.values():
        frame.attrs["a2v"]["content"] += ", changed"
    given(other)
    assert objective("imputed", tmp_path).digest != first.digest


def test_mean_test_accuracy_as_the_signal(given, tmp_path):
    given(tables(SMALL))
    imputed, by_test = objective("imputed", tmp_path), objective("mean_test", tmp_path)
    np.testing.assert_array_equal(by_test.signal[-1, 0], by_test.test)
    np.testing.assert_array_equal(by_test.signal[:-1], imputed.signal[:-1])
    for name in ("validation", "test", "seconds", "measured"):
        np.testing.assert_array_equal(getattr(by_test, name), getattr(imputed, name))
    assert by_test.name == "nasbench101/mean_test"


@pytest.mark.parametrize("name", ["validation", "repeats"])
def test_what_only_the_official_file_has(given, name):
    given(tables(SMALL))
    assert available_objectives() == ("imputed", "mean_test", "measured")
    with pytest.raises(MissingDataError, match="data fetch nb101-official"):
        objective(name)


# ----------------------------------------------------------------------------------------------- official tables


@pytest.mark.parametrize(("name", "repeats"), [("validation", 1), ("repeats", 3), ("mean_test", 1)])
def test_official_labels(given, name, repeats):
    found = given(tables(SMALL, official=True))
    made = objective(name)
    of_each = found["nb101_validation"][[f"validation_108_{repeat}" for repeat in range(3)]].to_numpy().T
    test = found["nb101_test"]["test_mean"].to_numpy()
    assert made.signal.shape == (1, repeats, len(SMALL.cells()))
    assert made.epochs == (108,)
    assert made.measured.all()
    expected = {"validation": of_each.mean(0), "repeats": of_each, "mean_test": test}[name]
    np.testing.assert_allclose(made.signal[0], np.atleast_2d(expected))
    np.testing.assert_allclose(made.validation, of_each.mean(0))  # the mean, not the maximum
    np.testing.assert_array_equal(made.test, test)
    np.testing.assert_array_equal(made.seconds[0], found["nb101_validation"]["training_seconds"])


@pytest.mark.parametrize("name", ["imputed", "measured"])
def test_what_the_official_file_makes_needless(given, name):
    given(tables(SMALL, official=True))
    assert available_objectives() == ("validation", "repeats", "mean_test")
    with pytest.raises(SettingsError, match="validation, repeats, mean_test"):
        objective(name)


# ------------------------------------------------------------------------------------------------------ bad input


def test_an_unknown_name():
    with pytest.raises(SettingsError, match="imputed, mean_test, measured, validation, repeats"):
        objective("valid")
    assert set(BUDGET_SECONDS.values()) == {1e6}


def test_a_cell_that_the_space_does_not_have(given):
    found = tables(SMALL)
    found["nb101_validation"].loc[5, "module_hash"] = "0" * 32
    given(found)
    with pytest.raises(DataError, match="0" * 32):
        objective("measured")


@pytest.mark.parametrize("column", ["validation_12", "validation_108", "training_seconds"])
def test_a_missing_value(given, tmp_path, column):
    found = tables(SMALL)
    found["nb101_validation"].loc[5, column] = np.nan
    given(found)
    for name in ("measured", "imputed"):
        with pytest.raises(DataError, match="missing values"):
            objective(name, tmp_path)


def test_a_test_table_of_another_length(given):
    found = tables(SMALL)
    attributes = found["nb101_test"].attrs
    found["nb101_test"] = found["nb101_test"].iloc[:-1]
    found["nb101_test"].attrs = attributes
    given(found)
    with pytest.raises(DataError, match="data build nb101_test"):
        objective("measured")


# ----------------------------------------------------------------------------------------------- the real tables


def test_the_measured_cells_of_the_whole_space(real):
    made = objective("measured")
    assert len(made) == 30_001
    assert made.best_test == 0.943175752957662  # of the whole space
    assert made.best_validation == pytest.approx(0.94911861, abs=1e-8)
    assert made.expected_queries(BUDGET_SECONDS["measured"]) == pytest.approx(519.5, abs=0.1)


def test_the_imputed_labels_of_the_whole_space(real):
    made, known = objective("imputed"), objective("measured")
    assert len(made) == 423_624
    assert made.best_test == known.best_test
    assert made.measured.sum() == len(known)
    guessed = made.restrict(~made.measured)
    # The sample is nearly uniform, so what is imputed is distributed as what is measured.
    np.testing.assert_allclose(guessed.signal.mean((1, 2)), known.signal.mean((1, 2)), atol=0.002)
    np.testing.assert_allclose(guessed.seconds.mean(1), known.seconds.mean(1), rtol=0.002)
    quantiles = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(np.quantile(guessed.validation, quantiles), np.quantile(known.validation, quantiles),
                               atol=0.005)
    assert known.best_validation < made.best_validation < 0.952
