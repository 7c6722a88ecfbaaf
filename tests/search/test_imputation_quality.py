import numpy as np
import pytest
from scipy import stats

from a2v_core.benchmarks import available, load_table
from a2v_core.errors import SettingsError
from a2v_core.search.imputation import Donors
from a2v_core.search.imputation_quality import quality_of
from a2v_core.search.nasbench101_objectives import measured_cells, rows_of
from a2v_core.spaces import get_space


def measured(noise, d=600, seed=0):
    """Cells whose validation error is half their test error, but for noise, at every epoch."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(d, 3))
    test = 0.95 - 0.15 * rng.beta(1, 2, d)
    validation = 1 - (1 - test) / 2 * np.exp(noise * rng.normal(size=(4, d)))
    return Donors(test, features, validation, np.exp(7 + 0.3 * features[:, 0]))


def test_without_noise_every_way_is_nearly_exact():
    quality = quality_of(measured(0.0), np.arange(600))
    assert list(quality.time["folds"]) == ["runs of hashes", "random"]
    assert (quality.time["r2_of_log"] > 0.999).all()
    assert (quality.time["mean_relative_error"] < 5e-3).all()
    assert len(quality.validation) == 2 * 4
    assert (quality.validation["spearman_108"] > 0.995).all()
    assert (quality.validation["top_100_shared"] > 90).all()
    full = quality.validation[quality.validation["way"].isin(["full ratio", "regression"])]
    assert (full["spearman_108"] > 0.9999).all()
    np.testing.assert_allclose(full[["moved_all", "moved_top_tenth"]], 0, atol=1e-5)


def test_noise_without_memory_makes_a_draw_as_uncertain_as_the_truth():
    """The donor's noise is independent of the cell's: the draw relates to test accuracy as the truth does."""
    known = measured(0.3, 3000)
    rows = quality_of(known, np.arange(3000)).validation.set_index(["folds", "way"])
    draw, smooth = rows.loc[("random", "full ratio")], rows.loc[("random", "regression")]
    assert draw["near_top_with_test"] == pytest.approx(draw["near_top_true_with_test"], abs=0.06)
    assert smooth["near_top_with_test"] > draw["near_top_with_test"] + 0.2
    assert smooth["regret_all"] < draw["regret_all"]
    np.testing.assert_allclose(rows["moved_all"], rows["regret_all"] - rows["true_regret_all"], atol=1e-12)
    near = known.test > 0.93
    assert draw["near_top_true_with_test"] == pytest.approx(
        stats.spearmanr(known.validation[-1, near], known.test[near]).statistic)


def test_too_few_cells():
    with pytest.raises(SettingsError, match="49 measured cells"):
        quality_of(measured(0.1, 49), np.arange(49))


def test_every_fifth_measured_cell_of_nasbench101():
    if not (available("nb101_test") and available("nb101_validation")):
        pytest.skip("needs the NAS-Bench-101 tables: python -m a2v_core data build nb101_test nb101_validation")
    table = load_table("nb101_validation")
    if "validation_108_0" in table:
        pytest.skip("the official table is here: nothing is imputed")
    space = get_space("nasbench101")
    _, _, known = measured_cells(space, table)
    fifth = np.arange(0, len(known.test), 5)
    quality = quality_of(known.of(fifth), rows_of(space, table)[fifth])
    assert (quality.time["r2_of_log"] > 0.995).all()
    assert (quality.time["mean_relative_error"] < 0.02).all()
    rows = quality.validation.set_index(["folds", "way"])
    for folds in ("runs of hashes", "random"):
        draw, smooth = rows.loc[(folds, "hot deck")], rows.loc[(folds, "regression")]
        assert draw["spearman_108"] > 0.97
        assert draw["near_top_with_test"] == pytest.approx(draw["near_top_true_with_test"], abs=0.08)
        assert abs(draw["moved_all"]) < 0.0005
        assert smooth["moved_all"] < -0.0002  # too easy
