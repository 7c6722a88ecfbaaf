import numpy as np
import pandas as pd
import pytest

from a2v_core.benchmarks import available, load_table
from a2v_core.errors import DataError, SettingsError
from a2v_core.search import nasbench201_objectives as nasbench201
from a2v_core.search.nasbench201_objectives import BUDGET_SECONDS, DATASETS, objective

M = 15_625
TABLES = ("nb201_validation200", "nb201_test200", "nb201_epoch12")
ENDINGS = ("", "_mean", "_repeats", "_both")


def made_tables(seed=0):
    rng = np.random.default_rng(seed)
    keys = {"index": np.tile(np.arange(M), 3), "dataset": np.repeat(list(DATASETS.values()), M)}
    seeds = rng.uniform(10, 90, (3, 3 * M))
    seeds[2, ::2] = np.nan
    found = {
        "nb201_validation200": {f"val200_seed{i}": seeds[i] for i in range(3)} | {
            "val200_mean": np.nanmean(seeds, 0), "train_seconds_200": rng.uniform(500, 3000, 3 * M)},
        "nb201_test200": {"test200_mean": rng.uniform(10, 90, 3 * M)},
        "nb201_epoch12": {"val12": rng.uniform(10, 90, 3 * M)}}
    frames = {name: pd.DataFrame(keys | columns) for name, columns in found.items()}
    for name, frame in frames.items():
        frame.attrs["a2v"] = {"table": name, "content": f"content of {name}"}
    return frames


@pytest.fixture
def given(monkeypatch):
    """Made tables in place of the real ones."""
    found = made_tables()
    monkeypatch.setattr(nasbench201, "load_table", lambda name, data_dir="": found[name])
    return found


@pytest.fixture
def real():
    missing = [name for name in TABLES if not available(name)]
    if missing:
        pytest.skip(f"needs the NAS-Bench-201 tables: python -m a2v_core data fetch {' '.join(missing)}")


def test_every_data_set_has_four_objectives_and_the_budget_of_the_paper():
    assert list(BUDGET_SECONDS) == [dataset + ending for dataset in DATASETS for ending in ENDINGS]
    assert {name: BUDGET_SECONDS[name] for name in DATASETS} == {
        "cifar10": 1.2e4, "cifar100": 5e5, "imagenet16_120": 1.4e6}
    assert BUDGET_SECONDS["cifar10_mean"] == pytest.approx(2e5)
    assert BUDGET_SECONDS["cifar100_repeats"] == 5e5


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("place", "dataset"), list(enumerate(DATASETS)))
def test_signal_cost_and_report(given, place, dataset, ending):
    made = objective(dataset + ending)
    full, test, short = (given[name].iloc[place * M:(place + 1) * M] for name in TABLES)
    seeds = full[["val200_seed0", "val200_seed1", "val200_seed2"]].to_numpy().T / 100
    brief, mean = short["val12"].to_numpy()[None] / 100, full["val200_mean"].to_numpy()[None] / 100
    expected = {"": [brief] if dataset == "cifar10" else [seeds[:1]], "_mean": [mean],
                "_repeats": [seeds], "_both": [brief, seeds[:1]]}[ending]
    epochs = {"": (12,) if dataset == "cifar10" else (200,), "_both": (12, 200)}.get(ending, (200,))
    assert (made.name, made.epochs) == (f"nasbench201/{dataset}{ending}", epochs)
    np.testing.assert_array_equal(made.signal, expected)
    np.testing.assert_allclose(made.seconds, [full["train_seconds_200"] * e / 200 for e in epochs])
    np.testing.assert_array_equal(made.validation, full["val200_mean"] / 100)
    np.testing.assert_array_equal(made.test, test["test200_mean"] / 100)
    np.testing.assert_array_equal(made.rows, np.arange(M))
    assert made.measured.all()
    assert made.data == {name: f"content of {name}" for name in TABLES}


@pytest.mark.parametrize("name", ["cifar", "cifar10_", "ImageNet16-120", "cifar10_single"])
def test_an_unknown_name(name):
    with pytest.raises(SettingsError, match="imagenet16_120_both"):
        objective(name)


def test_cells_in_another_order(given):
    given["nb201_epoch12"].loc[[0, 1], "index"] = [1, 0]
    with pytest.raises(DataError, match="data build nb201_epoch12"):
        objective("cifar10")
    objective("cifar100")


def test_a_missing_value(given):
    given["nb201_epoch12"].loc[3, "val12"] = np.nan
    with pytest.raises(DataError, match="row 3 at 12 epochs"):
        objective("cifar10")
    given["nb201_test200"].loc[4, "test200_mean"] = np.nan
    with pytest.raises(DataError, match="test holds nan"):
        objective("cifar10_mean")


# ----------------------------------------------------------------------------------------------- the real tables


def test_optima_and_what_the_budgets_buy(real):
    best = {"cifar10": (91.6067, 94.3733), "cifar100": (73.4933, 73.5133), "imagenet16_120": (46.7333, 47.3111)}
    queries = {"cifar10": 109.41, "cifar100": 136.76, "imagenet16_120": 126.21}
    for dataset in DATASETS:
        made = objective(dataset)
        assert (100 * made.best_validation, 100 * made.best_test) == pytest.approx(best[dataset], abs=5e-5)
        assert made.expected_queries(BUDGET_SECONDS[dataset]) == pytest.approx(queries[dataset], abs=5e-3)
    assert objective("cifar10_mean").expected_queries(BUDGET_SECONDS["cifar10_mean"]) == pytest.approx(109.41, abs=5e-3)


def test_the_seconds_of_the_other_data_sets_are_those_of_cifar10_by_the_number_of_images(real):
    seconds = {dataset: objective(f"{dataset}_mean").seconds[0] for dataset in DATASETS}
    np.testing.assert_allclose(seconds["cifar100"] / seconds["cifar10"], 50_000 / 25_000, rtol=1e-12)
    np.testing.assert_allclose(seconds["imagenet16_120"] / seconds["cifar10"], 151_700 / 25_000, rtol=1e-12)
    np.testing.assert_allclose(objective("cifar10").seconds[0] / seconds["cifar10"], 12 / 200)


def test_repeats_that_exist(real):
    made = objective("imagenet16_120_repeats")
    missing = np.isnan(made.signal[0])
    np.testing.assert_array_equal(missing.sum(1), [0, 0, 7456])
    np.testing.assert_allclose(np.nanmean(made.signal[0], 0), made.validation)
    np.testing.assert_array_equal(objective("imagenet16_120").signal[0, 0], made.signal[0, 0])
    assert load_table("nb201_validation200")["n_seeds"].min() == 2
