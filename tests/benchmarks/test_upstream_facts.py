"""What the data cards state, checked against the real files in the mirror."""

import numpy as np
import pandas as pd
import pytest

from a2v_core.benchmarks import build, fetch, load_table, sources, verify
from a2v_core.benchmarks.convert_nasbench101 import N_CELLS
from a2v_core.paths import DATA_DIR_VARIABLE, MIRROR_VARIABLE

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")


@pytest.fixture(scope="module")
def root(mirror, tmp_path_factory):
    """A data folder with every table, built straight from the mirror."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MIRROR_VARIABLE, str(mirror))
        patch.delenv(DATA_DIR_VARIABLE, raising=False)
        results = build(None, folder)
        assert {result.state for result in results} == {"built"}
    return folder


def test_everything_is_fetched_from_the_mirror_and_verified(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    results = fetch(None, tmp_path)
    assert {result.state for result in results} == {"fetched", "installed"}
    monkeypatch.delenv(MIRROR_VARIABLE)
    wanted = [source.name for source in sources.REGISTRY.values() if not source.optional]
    assert {found.state for found in verify(wanted, tmp_path)} == {"ok"}
    assert {result.state for result in fetch(None, tmp_path)} == {"present", "installed"}


def test_nasbench101_test_accuracies(root):
    test = load_table("nb101_test", root)["test_mean"].to_numpy()
    assert len(test) == N_CELLS
    assert test.max() == 0.943175752957662
    assert test.argmax() == 4789
    assert test.mean() == pytest.approx(0.8967985, abs=5e-8)
    assert np.median(test) == pytest.approx(0.9063836, abs=5e-8)
    assert test.min() == pytest.approx(0.0997596, abs=5e-8)
    thirds = test * 3 * 9984  # every value is a mean of three fractions of 9,984 images
    np.testing.assert_allclose(thirds, np.round(thirds), atol=5e-3)


def test_nasbench101_validation_sample(root):
    test = load_table("nb101_test", root)
    sample = load_table("nb101_validation", root)
    assert len(sample) == 30_001
    # The ranks of the sample, were the space not at hand: parameters agree row by row.
    ranks = np.r_[0:20_001, 36_202:46_202]
    same = sample["trainable_parameters"].to_numpy() == np.round(test["trainable_parameters_m"].to_numpy()[ranks] * 1e6)
    assert same.all()
    of_sample = test["test_mean"].to_numpy()[ranks]
    assert of_sample.mean() == pytest.approx(0.8974, abs=5e-5)
    assert of_sample.max() == test["test_mean"].max()
    assert pd.Series(of_sample).corr(sample["validation_108"], method="spearman") == pytest.approx(0.986, abs=5e-4)
    assert sample["module_hash"].is_monotonic_increasing
    assert (sample["training_seconds"] > 0).all()


def test_nasbench101_sample_by_the_hashes_of_the_space(root):
    spaces = pytest.importorskip("a2v_core.spaces", reason="needs the search spaces")
    if "nasbench101" not in spaces.space_names():
        pytest.skip("the search space nasbench101 is not registered")
    hashes = load_table("nb101_validation", root)["module_hash"].to_numpy(dtype="S32")
    rows = spaces.get_space("nasbench101").rows_of_keys(hashes)
    np.testing.assert_array_equal(rows, np.r_[0:20_001, 36_202:46_202])


def test_nasbench201_tables_agree_on_the_order_of_the_cells(root):
    validation = load_table("nb201_validation200", root)
    short = load_table("nb201_epoch12", root)
    test = load_table("nb201_test200", root)
    pd.testing.assert_frame_equal(validation[["index", "dataset", "opcode"]], short[["index", "dataset", "opcode"]])
    pd.testing.assert_frame_equal(validation[["index", "dataset"]], test[["index", "dataset"]])
    for dataset in DATASETS:
        rows = (test["dataset"] == dataset).to_numpy()
        correlation = validation.loc[rows, "val200_mean"].corr(test.loc[rows, "test200_mean"], method="spearman")
        assert correlation > 0.98  # any other order gives about 0


def test_nasbench201_maxima(root):
    validation = load_table("nb201_validation200", root).groupby("dataset", sort=False)
    np.testing.assert_allclose(validation["val200_mean"].max(), [91.6067, 73.4933, 46.7333], atol=5e-5)
    test = load_table("nb201_test200", root).groupby("dataset", sort=False)
    np.testing.assert_allclose(test["test200_mean"].max(), [94.3733, 73.5133, 47.3111], atol=5e-5)
    best = load_table("nb201_validation200", root).query("dataset == 'ImageNet16-120'")
    seeds = best[["val200_seed0", "val200_seed1", "val200_seed2"]].to_numpy()
    assert (np.abs(seeds - 46.77) < 0.005).any()  # the published optimum is one seed of one cell
    short = load_table("nb201_epoch12", root)
    assert short[["val12", "test12"]].notna().all(axis=None)
    assert short["val12"].max() < 91


def test_darts_networks(root):
    frame = load_table("darts214", root)
    assert len(frame) == frame["genotype"].nunique() == 214
    assert frame["test_last"].mean() == pytest.approx(96.95, abs=5e-3)
    assert frame["test_last"].std(ddof=0) == pytest.approx(0.233, abs=5e-4)
    assert frame["test_last"].max() == pytest.approx(97.41)
    assert np.stack(frame["test_curve"]).shape == (214, 600)


def test_the_authors_final_regrets(root):
    frame = load_table("authors_curves", root)
    last = frame.groupby("method")["test_regret"].last()
    expected = {"arch2vec-rl": 0.00209, "arch2vec-bo": 0.00275, "supervised-bo": 0.00596, "supervised-rl": 0.00620,
                "bohb": 0.00720, "evolution": 0.00751, "discrete-rl": 0.00837, "random": 0.00858}
    assert set(last.index) == set(expected)
    for method, regret in expected.items():
        assert last[method] == pytest.approx(regret, abs=5e-6)
    assert (frame.groupby("method")["seconds"].diff().dropna() > 0).all()
