"""Observation 2: predictors and measures, stored runs, the plan, tables, findings and figures."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from a2v_core.errors import SettingsError
from a2v_core.observations import prediction_figures, prediction_pieces, prediction_plan, representations
from a2v_core.observations import prediction_tables as tables
from a2v_core.observations.prediction import BINS, joint_density, predict, score
from a2v_core.observations.prediction_findings import findings
from a2v_core.observations.prediction_pieces import Outcome, Piece, run
from a2v_core.observations.prediction_plan import Result, make_plan
from a2v_core.observations.representations import Representation
from a2v_core.observations.supervised import labelled_cells
from a2v_core.results import Page
from a2v_core.spaces import get_space
from a2v_core.stats import t_interval

CELLS = get_space("nasbench201").cells()
MADE = 0.85 + 0.02 * (CELLS.ops == 2).sum(1) - 0.03 * (CELLS.ops == 5).sum(1)
PAPER = {f"footnote1/{kind}/{quality}": 0.5 for kind in ("arch2vec", "supervised")
         for quality in ("rmse", "rmse_sd", "pearson", "pearson_sd")}


def points(m=400, d=3, seed=0):
    """Vectors and a smooth function of them with a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(m, d))
    return x.astype(np.float32), 0.9 + 0.02 * np.sin(x[:, 0]) + 0.01 * x[:, 1] + 0.001 * rng.normal(size=m)


# ------------------------------------------------------------------------------------------------ predictors


@pytest.mark.parametrize("name", ["rbf", "matern"])
def test_the_gaussian_process_is_scikit_learns(name, monkeypatch):
    monkeypatch.setattr("a2v_core.observations.prediction._ROWS", 37)
    x, y = points()
    known = np.arange(5, 65)
    start = np.median(pdist(x[known].astype(np.float64)))
    shape = RBF(start) if name == "rbf" else Matern(start, nu=2.5)
    oracle = GaussianProcessRegressor(ConstantKernel(1.0) * shape + WhiteKernel(0.1), normalize_y=True)
    expected = oracle.fit(x[known].astype(np.float64), y[known]).predict(x.astype(np.float64))
    found = predict(name, x, known, y[known], 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.sqrt(np.square(found - y).mean()) < 0.3 * y.std()


@pytest.mark.parametrize("name", ["rbf", "matern"])
def test_units_of_vectors_and_accuracies_do_not_matter(name):
    x, y = points(200)
    known = np.arange(40)
    once, other = predict(name, x, known, y[known], 0), predict(name, 1000 * x, known, 100 * y[known] - 3, 0)
    np.testing.assert_allclose(other, 100 * once - 3, atol=1e-3)


@pytest.mark.parametrize("name", ["rbf", "matern"])
def test_vectors_or_answers_that_are_all_equal_predict_a_constant(name):
    x, y = points(50)
    known = np.arange(20)
    np.testing.assert_allclose(predict(name, x * 0, known, y[known], 0), y[known].mean(), atol=1e-9)
    np.testing.assert_allclose(predict(name, x, known, np.full(20, 0.9), 0), 0.9, atol=1e-9)


def test_dngo_learns_and_depends_on_its_seed_alone():
    x, y = points(600)
    known = np.arange(200)
    found = predict("dngo", x, known, y[known], 3)
    assert stats.pearsonr(found[200:], y[200:])[0] > 0.7
    assert np.array_equal(found, predict("dngo", x, known, y[known], 3))
    assert not np.array_equal(found, predict("dngo", x, known, y[known], 4))


def test_unknown_predictors_are_refused():
    x, y = points(20)
    with pytest.raises(SettingsError, match="'forest': choose one of rbf, matern, dngo"):
        predict("forest", x, np.arange(10), y[:10], 0)


# ------------------------------------------------------------------------------------------------ measures


def test_measures_by_hand():
    truth = np.array([0.9, 0.84, 0.82, 0.3, 0.8])
    predicted = np.array([0.88, 0.86, 0.78, 0.9, 0.7])
    found = score(truth, predicted, 0.8)
    assert (found["exact/cells"], found["released/cells"], found["all/cells"]) == (3, 2, 5)
    assert found["exact/rmse"] == pytest.approx(np.sqrt((0.02**2 + 0.02**2 + 0.04**2) / 3))
    assert found["released/rmse"] == pytest.approx(0.02)
    assert found["exact/kendall"] == 1
    assert found["exact/pearson"] == pytest.approx(np.corrcoef(truth[:3], predicted[:3])[0, 1])
    assert found["released/pearson"] == pytest.approx(1)
    assert found["all/rmse"] == pytest.approx(np.sqrt(np.square(truth - predicted).mean()))


def test_without_a_threshold_every_cell_counts():
    truth, predicted = np.random.default_rng(0).random((2, 60))
    found = score(truth, predicted, None)
    for name in ("exact", "released", "all"):
        assert found[f"{name}/cells"] == 60
        assert found[f"{name}/pearson"] == pytest.approx(stats.pearsonr(truth, predicted)[0])
    assert found["exact/kendall"] == pytest.approx(stats.kendalltau(truth, predicted)[0])


def test_a_constant_has_an_rmse_and_no_correlation():
    truth = np.linspace(0.81, 0.95, 20)
    for predicted in (np.full(20, 0.9), 0.9 + 1e-16 * np.arange(20)):
        found = score(truth, predicted, 0.8)
        assert found["exact/rmse"] == pytest.approx(np.sqrt(np.square(truth - 0.9).mean()))
        assert np.isnan(found["exact/pearson"])
        assert np.isnan(found["exact/kendall"])
    assert np.isnan(score(truth, truth - 0.5, 0.8)["released/rmse"])


def test_joint_density_counts_each_cell_above_the_threshold_once():
    truth = np.array([0.5, 0.81, 0.9, 0.9, 1.0])
    predicted = np.array([0.9, 0.85, 0.1, 5.0, 1.0])
    counts, true, guessed = joint_density(truth, predicted, 0.8)
    assert counts.shape == (BINS, BINS)
    assert counts.sum() == 4
    assert (true[0], true[-1]) == (0.8, 1.0)
    np.testing.assert_allclose((guessed[0], guessed[-1]), (0.7, 1.1))
    middle = np.searchsorted(true, 0.9) - 1
    assert counts[middle - 1:middle + 2, 0].sum() == 1
    assert counts[middle - 1:middle + 2, -1].sum() == 1
    assert joint_density(truth, predicted, None)[0].sum() == 5


# ------------------------------------------------------------------------------------------------ runs


@pytest.fixture
def made_accuracies(monkeypatch):
    """Accuracies of NAS-Bench-201 without a table."""
    for module in (representations, prediction_pieces):
        monkeypatch.setattr(module, "accuracies", lambda *_: MADE)
        monkeypatch.setattr(module, "accuracy_digest", lambda space, dataset, _="": f"{space}-{dataset}")


def piece(kind="one_hot", seed=0, labels=30, predictor="rbf", dataset="cifar10", **options):
    seen = Representation(kind, "corrected", seed, labels, dataset) if kind == "supervised" else Representation(kind)
    return Piece("nasbench201", dataset, seen, seed, labels, predictor, **options)


def test_impossible_pieces_are_refused():
    with pytest.raises(SettingsError, match="'forest'"):
        piece(predictor="forest")
    with pytest.raises(SettingsError, match="no output of its own"):
        piece(predictor="own")
    with pytest.raises(SettingsError, match="is not trained on the 30 known cells of seed 1"):
        dataclasses.replace(piece("supervised"), seed=1)
    with pytest.raises(SettingsError, match="is not trained on"):
        piece("supervised", known_above=True)


def test_a_run_is_the_prediction_of_the_unseen_cells(tmp_path, made_accuracies):
    (found,) = run([piece(seed=3)], data_dir=str(tmp_path), n_jobs=1)
    vectors = Representation("one_hot").build(get_space("nasbench201"), data_dir=str(tmp_path))
    known = labelled_cells(len(CELLS), 30, 3)
    predicted = predict("rbf", vectors, known, MADE[known], 3)
    unseen = np.setdiff1d(np.arange(len(CELLS)), known)
    expected = score(MADE[unseen], predicted[unseen], 0.8)
    assert found.scores == pytest.approx(expected)
    assert found.density[0].sum() == expected["exact/cells"]


def test_known_cells_above_the_threshold(tmp_path, made_accuracies):
    pieces = [piece(labels=300), piece(labels=300, known_above=True)]
    any_, above = run(pieces, data_dir=str(tmp_path), n_jobs=1)
    n = (MADE > 0.8).sum()
    assert above.scores["exact/cells"] == n - 300
    assert n - 300 < any_.scores["exact/cells"] < n


def test_runs_are_stored_and_do_not_depend_on_what_is_computed_with_them(tmp_path, made_accuracies, monkeypatch):
    pieces = [piece("supervised", seed, 10, predictor) for seed in (0, 1) for predictor in ("rbf", "own")]
    together = run([*pieces, piece("pca"), pieces[0]], data_dir=str(tmp_path), device="cpu", n_jobs=1)
    assert [outcome.piece for outcome in together] == [*pieces, piece("pca"), pieces[0]]
    assert together[0].scores == together[-1].scores
    (alone,) = run([pieces[2]], data_dir=str(tmp_path / "other"), device="cpu", n_jobs=1)
    assert alone.scores == together[2].scores
    assert together[2].scores != together[3].scores

    monkeypatch.setattr(prediction_pieces, "compute", lambda **_: pytest.fail("computed again"))
    again = run(pieces, data_dir=str(tmp_path), device="cpu", n_jobs=1)
    assert [outcome.scores for outcome in again] == [outcome.scores for outcome in together[:4]]


def test_a_collapsed_representation_predicts_a_constant(tmp_path, made_accuracies, monkeypatch):
    noise = 1 + 1e-7 * np.random.default_rng(0).normal(size=(len(CELLS), 4))
    monkeypatch.setattr(Representation, "build", lambda *_, **__: noise.astype(np.float32))
    (found,) = run([piece()], data_dir=str(tmp_path), n_jobs=1)
    assert np.isnan(found.scores["exact/pearson"])
    known = labelled_cells(len(CELLS), 30, 0)
    unseen = np.setdiff1d(np.flatnonzero(MADE > 0.8), known)
    assert found.scores["exact/rmse"] == pytest.approx(np.sqrt(np.square(MADE[unseen] - MADE[known].mean()).mean()))


# ------------------------------------------------------------------------------------------------ plan


def test_the_full_plan(monkeypatch):
    monkeypatch.setattr(prediction_plan, "existing_seeds",
                        lambda kind, recipe, space, seeds, _: [0, 1, 2] if recipe == "paper" else list(seeds))
    plan = make_plan("full", seed=7)
    ours, supervised, own = plan.groups["main"]
    assert [piece.seed for piece in ours.pieces] == list(range(7, 57))
    assert [piece.representation.seed for piece in ours.pieces] == [i % 5 for i in range(50)]
    assert all(piece.representation.seed == piece.seed for piece in supervised.pieces)
    assert [piece.representation for piece in own.pieces] == [piece.representation for piece in supervised.pieces]
    assert {len(group.pieces) for part, groups in plan.groups.items() if part not in ("main", "curves")
            for group in groups} == {10}
    (literal,) = [g for g in plan.groups["recipes"] if g.label == "arch2vec, paper"]
    assert {piece.representation.seed for piece in literal.pieces} == {0, 1, 2}
    curve = [g.first.labels for g in plan.groups["curves"] if g.label == "one-hot matrices"]
    assert curve == [50, 100, 500, 1000]
    assert {g.first.dataset for g in plan.groups["cifar100"]} == {"cifar100"}
    pieces = plan.pieces()
    assert len(pieces) == len(set(pieces))


@pytest.mark.parametrize("profile", prediction_plan.SCALES)
def test_plans_without_tables(profile):
    assert make_plan(profile, without=["nasbench101", "nasbench201"]).pieces() == []
    plan = make_plan(profile, without=["nasbench101"])
    assert {piece.space for piece in plan.pieces()} == {"nasbench201"}


def test_unknown_profiles_are_refused():
    with pytest.raises(SettingsError, match="'huge'"):
        make_plan("huge")


# ------------------------------------------------------------------------------------------------ tables


def result(kind="arch2vec", runs=4, encoders=2, labels=250, offset=0.0, label="", predictor="rbf", space="nasbench101",
           first_seed=0, **options):
    """Runs with made-up measures."""
    outcomes = []
    for i in range(runs):
        seed = first_seed + i
        seen = Representation(kind, seed=seed, labels=labels) if kind == "supervised" else \
            Representation(kind, seed=i % encoders)
        rng = np.random.default_rng(seed)
        scores = {f"{name}/{measure}": offset + rng.random() for name in ("exact", "released", "all")
                  for measure in ("rmse", "pearson", "kendall") if name == "exact" or measure != "kendall"}
        density = np.ones((BINS, BINS), np.int64), np.linspace(0.8, 0.95, BINS + 1), np.linspace(0.7, 1, BINS + 1)
        outcomes.append(Outcome(Piece(space, "cifar10", seen, seed, labels, predictor, **options), scores, density))
    group = prediction_plan.Group(label or f"{kind}, released", tuple(outcome.piece for outcome in outcomes))
    return Result(group, tuple(outcomes))


def test_runs_that_share_a_pretraining_are_not_independent():
    values = np.array([1.0, 3.0, 2.0, 6.0, 3.0, 9.0])
    found = tables.clustered(values, np.array([0, 1, 0, 1, 0, 1]))
    expected = t_interval(np.array([2.0, 6.0]))
    assert found[:3] == pytest.approx(expected[:3])
    assert found.n == 6
    assert tables.clustered(values, None) == t_interval(values)
    assert tables.clustered(values, np.zeros(6, int)) == t_interval(values)
    assert tables.clustered(values, np.arange(6)) == t_interval(values)


def test_the_first_runs_alone_keep_their_pretrainings():
    whole = result(runs=4, encoders=2)
    first = tables.first_runs(whole, 3)
    assert first.outcomes == whole.outcomes[:3]
    np.testing.assert_array_equal(first.encoders, whole.encoders[:3])


def test_runs_without_a_value_are_left_out():
    values = np.array([np.nan, 3.0, np.nan, 5.0])
    assert tables.clustered(values, np.array([0, 1, 0, 1])) == t_interval(values[[1, 3]])
    assert tables.clustered(np.full(3, np.nan), None) is None


def test_differences_pair_runs_that_know_the_same_cells():
    first, second = result(runs=6, encoders=2, offset=0.5), result("one_hot", runs=4, first_seed=1)
    # Seeds 1 to 4 are in both, and a seed's made-up measures are equal apart from the offset.
    found = tables.difference(first, second, "pearson")
    assert found.n == 4
    assert found[:3] == pytest.approx((0.5, 0.5, 0.5))
    back = tables.difference(second, first, "pearson")
    assert back[:3] == pytest.approx((-0.5, -0.5, -0.5))
    assert tables.difference(first, result("one_hot", first_seed=100), "pearson") is None
    assert tables.differences(first, [second]).loc["one_hot, released", "Pearson's r"] == "0.50 [0.50, 0.50]"


def test_the_summary_has_the_papers_numbers_and_says_what_is_missing():
    collapsed = result()
    for outcome in collapsed.outcomes:
        outcome.scores["exact/pearson"] = np.nan
    found = tables.summary([collapsed, result("one_hot")], PAPER)
    assert found.loc["arch2vec, released", "Pearson's r"] == "none: all predictions are equal"
    assert found.loc["arch2vec, released", "RMSE, paper"] == "0.500 ± 0.500"
    assert found.loc["one_hot, released", "RMSE, paper"] == ""
    assert "Kendall's tau" not in tables.summary([result()], PAPER, "released")


def test_recorded_numbers():
    page = Page("obs2_predictive_performance", "smoke")
    main = [result(runs=12), result("supervised", runs=12), result("supervised", runs=12, predictor="own")]
    other = [result(predictor="dngo"), result(known_above=True), result("one_hot", runs=1)]
    tables.record(page, [*main, *other])
    tables.record_footnote(page, [*main, *other])
    found = {(v["id"], v["definition"]): v for v in page.as_dict()["values"]}
    assert found["footnote1/arch2vec/rmse", "exact"]["value"] == pytest.approx(main[0].values("exact/rmse").mean())
    assert found["footnote1/arch2vec/rmse_sd", "exact"]["value"] == pytest.approx(
        main[0].values("exact/rmse").std(ddof=1))
    assert found["footnote1/arch2vec/rmse", "exact"]["recipe"] == "released"
    assert found["footnote1/arch2vec/rmse", "predicted_above"]["value"] == pytest.approx(
        main[0].values("released/rmse").mean())
    assert found["footnote1/arch2vec/rmse", "released"]["value"] == pytest.approx(
        other[0].values("released/rmse").mean())
    assert ("footnote1/supervised/pearson", "own_output") in found
    assert ("obs2/nasbench101/cifar10/arch2vec/250/kendall", "known_above") in found
    alone = found["obs2/nasbench101/cifar10/one_hot/250/rmse", "exact"]
    assert (alone["n"], alone["low"], alone["recipe"]) == (1, None, "")
    assert not any(id.startswith("footnote1/one_hot") for id, _ in found)


# ------------------------------------------------------------------------------------------------ page


def everything():
    main = [result(runs=12, label="arch2vec, released"), result("supervised", runs=12, label="supervised, released"),
            result("supervised", runs=12, predictor="own", label="supervised, released: own output")]
    controls = [result("untrained", label="untrained GIN"), result("one_hot", label="one-hot matrices")]
    return {"main": main, "controls": controls,
            "recipes": [result(label="arch2vec, paper"), result("supervised", label="supervised, paper")],
            "predictors": [result(predictor="matern"), result(predictor="dngo"), result(known_above=True)],
            "curves": [result(kind, labels=labels, label=label) for labels in (50, 500)
                       for kind, label in (("arch2vec", "arch2vec, released"), ("one_hot", "one-hot matrices"))],
            "cifar10": [result(space="nasbench201", label="arch2vec, released"),
                        result("one_hot", space="nasbench201", offset=1, label="one-hot matrices")]}


def test_findings_are_sentences_with_numbers():
    results = everything()
    found = findings(results, PAPER)
    assert len(found) == 10
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in found)
    assert "the best is one-hot matrices" in found[-1]
    for part in ("recipes", "controls", "predictors"):
        results[part] = []
    assert len(findings(results, PAPER)) == 4


def test_the_median_run():
    some = result(runs=5)
    values = some.values("exact/pearson")
    assert prediction_figures.median_run(some).scores["exact/pearson"] == np.median(values)


def test_figures_show_all_groups():
    import matplotlib.pyplot as plt

    results = everything()
    shown = [*results["main"], *results["controls"]]
    figure = prediction_figures.plot_densities(results["main"])
    assert [ax.get_title() for ax in figure.axes[:3]] == [r.group.label for r in results["main"]]
    figure = prediction_figures.plot_measures(shown, PAPER)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [r.group.label for r in shown]
    curves = tables.by_label([*shown, *results["curves"]])
    assert list(curves) == ["arch2vec, released", "one-hot matrices"]
    assert [r.group.first.labels for r in curves["one-hot matrices"]] == [50, 250, 500]
    figure = prediction_figures.plot_curves(curves)
    lines, names = figure.axes[0].get_legend_handles_labels()
    assert names == list(curves)
    assert [list(line.get_xdata()) for line in lines] == [[r.group.first.labels for r in of] for of in curves.values()]
    figure = prediction_figures.plot_datasets({"CIFAR-10": results["cifar10"]})
    assert figure.axes[0].get_title() == "CIFAR-10"
    plt.close("all")
