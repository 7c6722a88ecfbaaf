"""Figures of the search pages: what is drawn is what the runs say, every curve can be told from the others, and
nothing warns."""

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from made_pages import SCALE, objective, of_all, outcomes

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex

from a2v_core.errors import SettingsError
from a2v_core.plotting import COLOURS, use_style
from a2v_core.search import figures
from a2v_core.search.estimates import held
from a2v_core.search.methods import METHODS
from a2v_core.search.plan import make_group
from a2v_core.search.tables import AUTHORS
from a2v_core.search.trajectories import curve
from a2v_core.stats import Estimate, paired_difference

MAIN = ("random", "re", "rl", "bohb", "supervised_rl", "supervised_bo", "arch2vec_rl", "arch2vec_bo")


@pytest.fixture(autouse=True)
def _strict():
    """The study's style; a warning, also one while drawing, fails the test."""
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("error")
        use_style()
        yield
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
        plt.close("all")


def group(method, recipe="released", runs=6, **options):
    return make_group(SCALE, "nasbench101", "imputed", method, recipe, runs, 1.15e6, **options)


@pytest.fixture(scope="module")
def main():
    return [group(method) for method in MAIN]


@pytest.fixture(scope="module")
def runs(main):
    return of_all(main)


@pytest.fixture(scope="module")
def authors():
    seconds = np.geomspace(100, 1e4, 30)
    return pd.concat([pd.DataFrame({"method": name, "step": range(30), "seconds": seconds,
                                    "test_regret": 0.05 / (1 + seconds / 1000)}) for name in AUTHORS.values()])


def looks(line):
    return to_hex(line.get_color()), line.get_linestyle()


def labels(legend):
    return [text.get_text() for text in legend.get_texts()]


def is_inside(legend, figure):
    """Whether no part of a legend is cut off."""
    figure.canvas.draw()
    box, page = legend.get_window_extent(), figure.bbox
    return page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


# --- styles ----------------------------------------------------------------------------------------------------------


def test_every_method_and_every_recipe_has_a_look_of_its_own():
    shown = {(method, recipe): tuple(figures.style(group(method, recipe)).items())
             for method in METHODS for recipe in METHODS[method].recipes}
    assert len(set(shown.values())) == len(shown)
    assert figures.style(group("arch2vec_bo")) == {"color": COLOURS["blue"], "linestyle": "-"}


def test_a_method_from_elsewhere_is_black(third_party):
    made = make_group(SCALE, "made", "noisy", "made", "released", 2, 1e6)
    assert figures.style(made) == {"color": COLOURS["black"], "linestyle": "-"}


# --- panels ----------------------------------------------------------------------------------------------------------


def test_regret_against_seconds(main, runs):
    ax = plt.subplots()[1]
    figures.plot_against_seconds(ax, main, runs, SCALE)
    assert [line.get_label() for line in ax.lines] == [g.label for g in main]
    assert len(ax.collections) == len(main)
    assert len({looks(line) for line in ax.lines}) == len(main)
    for line, g in zip(ax.lines, main, strict=True):
        x, y = line.get_data()
        assert x[-1] == pytest.approx(1e4)  # a hundredth of the seconds of Figure 6
        np.testing.assert_allclose(y, curve(runs[g.name], "seconds", x)["mean"])
        assert np.isfinite(y[-1])
        assert np.isnan(y[0])  # before the first query of 200 s
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlim()[1] == pytest.approx(1e4)
    assert "seconds" in ax.get_xlabel()


def test_the_authors_curves_are_thin_and_have_no_label(main, runs, authors):
    ax = plt.subplots()[1]
    extra = group("frozen_policy")
    figures.plot_against_seconds(ax, [*main, extra], runs | {extra.name: outcomes(extra)}, SCALE, authors)
    assert ax.get_legend_handles_labels()[1] == [g.label for g in [*main, extra]]
    thin = [line for line in ax.lines if line.get_linewidth() < 1]
    assert len(thin) == len(main)  # they have no curve of our controls
    for line, g in zip(thin, main, strict=True):
        theirs = authors[authors["method"] == AUTHORS[g.method]]
        np.testing.assert_array_equal(line.get_ydata(), theirs["test_regret"])
        assert looks(line)[0] == to_hex(figures.style(g)["color"])


def test_regret_against_queries(main, runs):
    ax = plt.subplots()[1]
    figures.plot_against_queries(ax, main, runs, 8)
    assert [line.get_label() for line in ax.lines] == [g.label for g in main]
    for line, g in zip(ax.lines, main, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))
        expected = [held(runs[g.name], "regret_test", queries=q).mean() for q in range(1, 9)]
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert ax.get_xlabel() == "queries"


def test_runs_that_find_the_best_cell_and_single_runs_are_drawn():
    # A regret of zero has no place on a logarithmic axis, and Student's interval around a small mean goes below zero.
    on = objective(3)
    groups = [group("random"), group("re", runs=1), group("rl", runs=2)]
    runs = {g.name: outcomes(g, on) for g in groups}
    assert held(runs[groups[0].name], "regret_validation").max() == 0
    axes = plt.subplots(1, 3)[1]
    figures.plot_against_seconds(axes[0], groups, runs, SCALE)
    figures.plot_against_queries(axes[1], groups, runs, 30)
    figures.plot_distribution(axes[2], groups, runs, SCALE)


def test_distribution_of_the_final_regret(main, runs):
    ax = plt.subplots()[1]
    figures.plot_distribution(ax, main, runs, SCALE)
    assert [line.get_label() for line in ax.lines] == [g.label for g in main]
    for line, g in zip(ax.lines, main, strict=True):
        final = held(runs[g.name], "regret_test", seconds=1e4)
        x, y = line.get_data()
        assert set(x) == set(final)
        for regret in x:
            assert y[x == regret].max() == pytest.approx((final <= regret).mean())


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_authors", [False, True])
def test_figure_6_has_two_panels_and_one_legend(main, runs, authors, with_authors):
    figure = figures.figure6(main, runs, SCALE, authors if with_authors else None)
    left, right = figure.axes
    assert len(left.lines) == len(main) * (2 if with_authors else 1)
    assert len(right.lines) == len(main)
    legend, = figure.legends
    assert labels(legend) == [g.label for g in main]
    assert is_inside(legend, figure)
    assert left.get_legend() is None


def test_panels_of_queries_share_a_legend(main, runs):
    recipes = [group(f"arch2vec_{agent}", recipe, runs=4) for recipe in ("released", "paper", "corrected")
               for agent in ("rl", "bo")]
    both = runs | of_all(recipes)
    figure = figures.plot_queries({"all": main, "by recipe": recipes}, both, 10)
    assert [ax.get_title() for ax in figure.axes] == ["all", "by recipe"]
    assert [len(ax.lines) for ax in figure.axes] == [8, 6]
    assert labels(figure.legends[0]) == [*(g.label for g in main), *(g.label for g in recipes[2:])]
    assert is_inside(figure.legends[0], figure)
    for ax in figure.axes:
        assert len({looks(line) for line in ax.lines}) == len(ax.lines)
        assert {line.get_xdata()[-1] for line in ax.lines} == {10}


def test_a_panel_of_queries_ends_with_its_shortest_run(main, runs):
    short = group("bo", seed=100)
    found = outcomes(short)
    counts = found.trajectories.counts
    assert counts.min() < 1000
    figure = figures.plot_queries({"": [short]}, {short.name: found}, 1000)
    assert figure.axes[0].lines[0].get_xdata()[-1] == counts.min()
    with pytest.raises(SettingsError, match="no panel"):
        figures.plot_queries({}, runs, 10)


def test_seconds_that_are_charged_move_a_curve(main, runs):
    import matplotlib.pyplot as plt

    _, (plain, moved) = plt.subplots(1, 2)
    chosen = main[:2]
    figures.plot_against_seconds(plain, chosen, runs, SCALE)
    figures.plot_against_seconds(moved, chosen, runs, SCALE, charged={chosen[1].name: 123.0})
    shifts = [b.get_xdata() - a.get_xdata() for a, b in zip(plain.lines, moved.lines, strict=True)]
    np.testing.assert_allclose(shifts[0], 0)
    np.testing.assert_allclose(shifts[1], 123.0)


def test_distances_of_actions_and_the_radius_of_the_cloud():
    table = pd.DataFrame({"query": [1, 2, 3], "distance": [4.0, 5.0, 6.0], "mean_norm": [0.0, 0.5, 1.0], "radius": 0.7})
    figure = figures.plot_action_distances({"one": table, "two": table * 2})
    left, right = figure.axes
    np.testing.assert_array_equal(left.lines[0].get_ydata(), [4, 5, 6])
    assert [line.get_ydata()[0] for line in left.lines[1::2]] == [0.7, 1.4]
    np.testing.assert_array_equal(right.lines[1].get_ydata(), [0, 1, 2])
    assert labels(figure.legends[0]) == ["one", "two"]


def test_effects_are_differences_within_each_pretraining():
    base, changed = group("arch2vec_rl"), [group("arch2vec_rl", note="no baseline"), group("arch2vec_rl", "paper")]
    single = group("arch2vec_rl", runs=1, note="single")
    runs = of_all([base, *changed, single])
    found = figures.effects(base, [*changed, single], runs, "test", 5)
    assert list(found) == ["no baseline", "arch2vec-RL, paper"]
    x, y = (100 * held(runs[g.name], "test", queries=5) for g in (changed[0], base))
    assert found["no baseline"] == paired_difference(*(v.reshape(2, 3).mean(1) for v in (x, y)))
    assert found["no baseline"].value == pytest.approx(x.mean() - y.mean())
    assert figures.effects(single, changed, runs, "test", 5) == {}


def test_effects_are_drawn_around_zero():
    found = {"RL": {"a": Estimate(0.1, -0.1, 0.3, 5), "b": Estimate(-0.2, -0.3, -0.1, 5)},
             "BO": {"c": Estimate(0.0, -0.1, 0.1, 5)}}
    figure = figures.plot_effects(found, "points")
    assert [ax.get_title() for ax in figure.axes] == ["RL", "BO"]
    for ax, effects in zip(figure.axes, found.values(), strict=True):
        assert [tick.get_text() for tick in ax.get_yticklabels()] == list(effects)
        np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), [e.value for e in effects.values()])
        assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)
        assert ax.get_legend() is None
        assert ax.get_xlabel() == "points"
