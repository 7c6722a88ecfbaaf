"""Observation 3: pairs, L2 distances, their statistics and tables."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from a2v_core.artifacts import ArtifactStore
from a2v_core.edit_distance import edit_distance
from a2v_core.errors import SettingsError
from a2v_core.observations import distance_growth, distances_figures, distances_plan
from a2v_core.observations.cell_pairs import LAGS, PairSpec, make_pairs
from a2v_core.observations.distance_growth import (
    crossed_difference,
    crossed_interval,
    growth,
    rank_correlations,
    smallest_step,
)
from a2v_core.observations.distances import existing_seeds, l2_distances, vectors_of
from a2v_core.observations.distances_findings import findings
from a2v_core.observations.distances_plan import Distances, Group
from a2v_core.observations.representations import SIZE, Representation
from a2v_core.results import Page
from a2v_core.search.features import Features
from a2v_core.spaces import get_space
from a2v_core.spaces.darts import DARTS
from a2v_core.stats import paired_difference, t_interval

NB201 = get_space("nasbench201")
WALK, RANDOM = PairSpec("walk", 2, 40), PairSpec("random", 2, 50, 70)


# ------------------------------------------------------------------------------------------------ pairs


def test_pairs_of_a_walk_are_at_the_lags(tmp_path):
    pairs = make_pairs(NB201, WALK, tmp_path)
    n = sum(40 - lag for lag in LAGS)
    assert pairs.first.shape == pairs.second.shape == pairs.steps.shape == pairs.edits.shape == (2, n)
    assert (pairs.second - pairs.first == pairs.steps).all()
    assert set(pairs.steps.ravel()) == set(LAGS)
    assert (pairs.first[0] < 40).all()
    assert (pairs.first[1] >= 40).all()
    assert (pairs.edits <= pairs.steps).all()
    for w in range(2):
        first, second = (pairs.cells[index[w]] for index in (pairs.first, pairs.second))
        assert (pairs.edits[w] == edit_distance(first, second)).all()
        assert (pairs.padded[w] == (first.ops != second.ops).sum(1)).all()


def test_random_pairs_are_of_different_cells(tmp_path):
    pairs = make_pairs(NB201, RANDOM, tmp_path)
    assert pairs.edits.shape == (2, 70)
    assert (pairs.steps == 0).all()
    assert (pairs.edits > 0).all()
    assert NB201.is_valid(pairs.cells).all()
    assert (pairs.first[0] < 50).all()
    assert (pairs.second[1] >= 50).all()


def test_pairs_are_stored_by_set_and_the_same_again(tmp_path, monkeypatch):
    both = make_pairs(NB201, WALK, tmp_path)
    stored = list((tmp_path / "artifacts" / "edit_distances").glob("*.npz"))
    assert len(stored) == 2
    monkeypatch.setattr("a2v_core.observations.cell_pairs._make_set", None)
    second = make_pairs(NB201, PairSpec("walk", 1, 40, seed=1), tmp_path)
    assert second.cells.digest() == both.cells[40:].digest()
    assert (second.edits[0] == both.edits[1]).all()


def test_unknown_pairs():
    with pytest.raises(SettingsError, match="unknown pairs 'lag'"):
        PairSpec("lag", 1, 10)


# ------------------------------------------------------------------------------------------------ vectors


def test_l2_distances_of_one_hot_matrices_count_the_changed_operations(tmp_path):
    pairs = make_pairs(NB201, RANDOM, tmp_path)
    l2 = l2_distances(Representation("one_hot"), NB201, RANDOM, pairs, tmp_path)
    # Each changed operation is one entry less and one more.
    np.testing.assert_allclose(l2**2, 2 * pairs.padded, rtol=1e-5)
    assert ArtifactStore(tmp_path).root.joinpath("l2_distances").is_dir()


@pytest.mark.parametrize("kind", ["one_hot", "path", "untrained", "arch2vec"])
def test_vectors_give_the_distances_of_the_whole_space(kind, tmp_path):
    chosen = np.arange(0, 15625, 700)
    mine = vectors_of(Representation(kind), NB201, NB201.cells()[chosen], tmp_path)
    whole = Features(kind).build(NB201, ArtifactStore(tmp_path))[chosen].astype(float)
    np.testing.assert_allclose(np.linalg.norm(mine[1:] - mine[:-1], axis=1),
                               np.linalg.norm(whole[1:] - whole[:-1], axis=1), rtol=1e-4)


def test_principal_components_lose_distance_and_have_the_size_of_the_embedding():
    space = DARTS(400)
    cells = space.cells()[:60]
    matrices, components = (vectors_of(Representation(kind), space, cells) for kind in ("one_hot", "pca"))
    assert components.shape == (60, SIZE)
    full, kept = (np.linalg.norm(x[1:] - x[:-1], axis=1) for x in (matrices, components))
    assert (kept <= full + 1e-9).all()


def test_what_a_representation_cannot_do():
    space = DARTS(50)
    with pytest.raises(SettingsError, match="path encoding"):
        vectors_of(Representation("path"), space, space.cells())
    with pytest.raises(SettingsError, match="darts"):
        vectors_of(Representation("supervised"), space, space.cells())


def test_collapsed_vectors_are_at_distance_zero(tmp_path, monkeypatch):
    noise = 1e-8 * np.random.default_rng(0).normal(size=(100, 3)) + 5
    monkeypatch.setattr("a2v_core.observations.distances.vectors_of", lambda *_: noise)
    pairs = make_pairs(NB201, RANDOM, tmp_path)
    assert (l2_distances(Representation("untrained"), NB201, RANDOM, pairs, tmp_path) == 0).all()


def test_only_existing_pretrainings_are_taken(tmp_path):
    assert existing_seeds("untrained", "released", NB201, range(3), tmp_path) == [0, 1, 2]
    assert existing_seeds("arch2vec", "released", NB201, [3, 4, 900], tmp_path) == [3, 4]
    assert existing_seeds("arch2vec", "released", NB201, [900, 901], tmp_path) == [900]


# ------------------------------------------------------------------------------------------------ statistics


def made_distances(seed=0, sets=3, pairs=400, noise=0.3, representations=2):
    """L2 distances that grow with the edit distance, and pairs of equal cells among them."""
    rng = np.random.default_rng(seed)
    edits = rng.integers(0, 6, (sets, pairs))
    return edits + noise * rng.normal(size=(representations, sets, pairs)) * (edits > 0), edits


def test_rank_correlation_is_spearmans_without_equal_cells():
    l2, edits = made_distances()
    found = rank_correlations(l2, edits, edits)
    kept = edits[1] > 0
    assert found.shape == (2, 3)
    assert found[0, 1] == pytest.approx(scipy_stats.spearmanr(l2[0, 1, kept], edits[1, kept]).statistic)
    l2[0] = 0
    assert np.isnan(rank_correlations(l2, edits, edits)[0]).all()
    assert np.isfinite(rank_correlations(l2, edits, edits)[1]).all()


def test_growth_by_hand():
    edits = np.repeat([[0, 1, 2, 3, 5]], 6, axis=1)
    l2 = np.array([[[0.0, 2, 5, 4, 9]]]).repeat(6, axis=2)
    found = growth(l2, edits)
    assert found.edits.tolist() == [1, 2, 3]
    assert found.means.tolist() == [[[2, 5, 4]]]
    step, start = smallest_step(found)
    assert (step.value, start) == (-1, 2)


def test_a_distance_needs_enough_pairs_in_every_set():
    l2, edits = made_distances()
    edits[0, edits[0] == 5] = 1
    assert growth(l2, edits).edits.tolist() == [1, 2, 3, 4]
    with pytest.raises(SettingsError, match="longer walks"):
        growth(l2, np.ones_like(edits))
    with pytest.raises(SettingsError, match="shape"):
        growth(l2[0], edits)


def test_a_collapsed_representation_is_left_out():
    l2, edits = made_distances(noise=0.01)
    l2[0] = 0
    summary = distances_figures.summarise(Distances(FakePairs(edits), {"one": l2}))["one"]
    assert summary.collapsed == 1
    assert np.isnan(summary.correlations[0]).all()
    assert summary.correlation.value > 0.9
    assert summary.rises == (4, 4)
    assert summary.step.value == pytest.approx(1 / l2[1].mean(), rel=0.01)
    alone = distances_figures.summarise(Distances(FakePairs(edits), {"one": l2[:1]}))["one"]
    assert np.isnan(alone.correlation.value)
    assert np.isnan(alone.step.value)


class FakePairs:
    def __init__(self, edits):
        self.edits, self.steps, self.padded = edits, edits, edits


def test_interval_of_one_row_or_column_is_students():
    values = np.random.default_rng(1).normal(size=12)
    for shaped in (values[None], values[:, None]):
        assert crossed_interval(shaped) == pytest.approx(t_interval(values))
        assert crossed_difference(shaped, 0 * shaped) == pytest.approx(paired_difference(values, 0 * values))
    assert crossed_interval(np.array([[3.0]])) == (3, 3, 3, 1)
    assert np.isnan(crossed_interval(np.full((2, 3), np.nan)).value)


def test_intervals_cover_the_truth_when_rows_and_columns_vary():
    rng, hits, hits_of_difference = np.random.default_rng(2), 0, 0
    for _ in range(400):
        columns = rng.normal(size=(1, 20))
        first, second = (rng.normal(size=(5, 1)) + columns + 0.3 * rng.normal(size=(5, 20)) for _ in range(2))
        found, gap = crossed_interval(first), crossed_difference(first, second)
        hits += found.low <= 0 <= found.high
        hits_of_difference += gap.low <= 0 <= gap.high
    assert 0.93 <= hits / 400 <= 1
    assert 0.93 <= hits_of_difference / 400 <= 1


# ------------------------------------------------------------------------------------------------ page


@pytest.fixture(scope="module")
def made_page():
    groups = {space: [Group("arch2vec-released", "arch2vec, released", (Representation("arch2vec"),) * 2),
                      Group("untrained-released", "untrained GIN, released", (Representation("untrained"),) * 2),
                      Group("one_hot", "one-hot matrices", (Representation("one_hot"),))]
              for space in ("nasbench101", "darts")}
    measured = {}
    for space in groups:
        measured[space] = {}
        for kind, noise in (("walk", 0.5), ("random", 1.0)):
            l2, edits = made_distances(noise=noise)
            l2 = np.abs(l2)
            everything = {"arch2vec-released": l2, "untrained-released": np.abs(5 - l2), "one_hot": edits[None] * 1.0}
            measured[space][kind] = Distances(FakePairs(edits), everything)
    summaries = {space: {kind: distances_figures.summarise(one) for kind, one in kinds.items()}
                 for space, kinds in measured.items()}
    return groups, measured, summaries


def test_tables(made_page):
    groups, measured, summaries = made_page
    table = distances_figures.table(groups["darts"], summaries["darts"])
    assert table.loc["one-hot matrices", "walk"] == "1.00 [1.00, 1.00]"
    assert table.loc["untrained GIN, released", "mean grows"] == "0 of 4"
    assert table.loc["arch2vec, released", ["mean grows", "n"]].tolist() == ["4 of 4", 2]
    gaps = distances_figures.differences(groups["darts"], summaries["darts"])
    assert gaps.index.tolist() == ["untrained GIN, released", "one-hot matrices"]
    assert gaps.iloc[1, 0].startswith("-0.")
    shares = distances_figures.by_space(groups, summaries, "same_point")
    assert shares.loc["one-hot matrices", "DARTS"] == "0.0 %"
    edits = distances_figures.edit_distance_table(measured)
    assert edits.shape == (4, 5)


def test_figures(made_page):
    import matplotlib.pyplot as plt

    groups, measured, summaries = made_page
    names = ("supervised-released", "arch2vec-released", "one_hot")
    figure = distances_figures.plot_distributions(measured["darts"]["walk"], groups["darts"], names)
    assert [ax.get_title() for ax in figure.axes] == ["arch2vec, released", "one-hot matrices"]
    figure = distances_figures.plot_growth(summaries, groups, "random")
    assert [len(ax.lines) for ax in figure.axes] == [3, 3]
    figure = distances_figures.plot_correlations(summaries, groups)
    assert len(figure.axes) == 2
    plt.close("all")


def test_recorded_numbers_and_findings(made_page):
    groups, _, summaries = made_page
    page = Page("obs3_edit_distance", "smoke")
    for space, kinds in summaries.items():
        distances_figures.record(page, space, groups[space], kinds)
    values = {(v["id"], v["recipe"], v["definition"]): v for v in page.as_dict()["values"]}
    ours = values["obs3/arch2vec/rank_correlation", "released", "exact"]
    assert ours["value"] == pytest.approx(summaries["nasbench101"]["walk"]["arch2vec-released"].correlation.value)
    assert ours["n"] == 2
    assert values["obs3/arch2vec/smallest_step", "released", "exact"]["value"] > 0
    assert ("obs3/darts/one_hot/rank_correlation", "", "random_pairs") in values
    grows, training, matrices = findings(groups, summaries)
    assert "the mean grows along walks at 4 of 4 steps on NAS-Bench-101, 4 of 4 steps on DARTS" in grows
    assert "Without any training the mean along walks does not grow at every step on NAS-Bench-101 and" in training
    assert "higher after pre-training on NAS-Bench-101 and DARTS" in training
    assert "arch2vec minus matrices: along walks -0." in matrices


def test_findings_where_the_untrained_encoder_grows_as_well(made_page):
    groups, _, summaries = made_page
    # As if the untrained encoder had the numbers of the matrices, and one pre-training had collapsed.
    changed = {space: {kind: found | {"untrained-released": found["one_hot"],
                                      "arch2vec-released": found["arch2vec-released"]._replace(collapsed=1)}
                       for kind, found in kinds.items()} for space, kinds in summaries.items()}
    _, training, _, collapsed = findings(groups, changed)
    assert "grows at every step on NAS-Bench-101 and DARTS; pre-training does not clearly" in training
    assert "NAS-Bench-101, arch2vec, released: 1 of 2; DARTS, arch2vec, released: 1 of 2" in collapsed


def test_the_plan_of_each_profile(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="profile 'tiny' is unknown"):
        distances_plan.scale_of("tiny")
    monkeypatch.setattr(distances_plan, "existing_seeds", lambda kind, recipe, space, seeds, data_dir: list(seeds))
    full = distances_plan.scale_of("full")
    names = [group.name for group in distances_plan.groups_of(full, NB201, 0, tmp_path)]
    assert names == ["arch2vec-released", "arch2vec-paper", "arch2vec-corrected", "supervised-released",
                     "supervised-paper", "supervised-corrected", "untrained-released", "one_hot", "pca", "path"]
    assert (full.walks, full.length) == (20, 1000)
    names = [group.name for group in distances_plan.groups_of(full, DARTS(50), 0, tmp_path)]
    assert not {"supervised-released", "path"} & set(names)
    assert set(distances_plan.pair_specs(full)) == set(distances_figures.KIND_NAMES)


def test_a_missing_table_leaves_only_the_supervised_network_out(tmp_path, monkeypatch):
    monkeypatch.setenv("A2V_DATA_MIRROR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(distance_growth, "LEAST_PAIRS", 1)
    groups = [Group("one_hot", "", (Representation("one_hot"),)),
              Group("supervised-released", "", (Representation("supervised"),))]
    found, missing = distances_plan.measure("nasbench201", groups, RANDOM, tmp_path)
    assert list(found.l2) == ["one_hot"]
    assert len(missing) == 1
