"""Maps by t-SNE, and what the page on the latent space computes, stores, tells and draws."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.manifold import trustworthiness

mpl.use("Agg")
import matplotlib.pyplot as plt

from a2v_core.artifacts import ArtifactStore
from a2v_core.errors import SettingsError
from a2v_core.observations import latent_figures, latent_measures, latent_plan, latent_tables
from a2v_core.observations.latent_findings import findings
from a2v_core.observations.latent_measures import Measures, measure, random_rows
from a2v_core.observations.latent_plan import SOURCES, Map
from a2v_core.observations.representations import Representation
from a2v_core.observations.tsne import MapSettings, map_trustworthiness, tsne_map
from a2v_core.results import Page, check_results
from a2v_core.search.features import Features
from a2v_core.spaces import get_space

NB201 = get_space("nasbench201")
RNG = np.random.default_rng(2)
GROUPS = np.repeat([0, 1], 40)
CLUSTERS = (RNG.normal(size=(80, 5)) + 20 * GROUPS[:, None]).astype(np.float32)
QUICK = MapSettings(perplexity=10)
NAN = float("nan")
#: Representations by principal components are made from the matrices alone.
PCA = Representation("pca")


@pytest.fixture
def made_accuracies(monkeypatch):
    """Accuracies that need no table, NAS-Bench-201 in the place of either space. Gives those of all cells."""
    values = np.random.default_rng(0).uniform(0.7, 0.95, len(NB201.cells()))
    monkeypatch.setattr(latent_measures, "accuracy_digest", lambda space, dataset, data_dir: "made")
    for module in (latent_plan, latent_measures):
        monkeypatch.setattr(module, "accuracies", lambda space, dataset, data_dir: values)
        monkeypatch.setattr(module, "get_space", lambda name: NB201)
    return values


# ------------------------------------------------------------------------------------------------ t-SNE


def test_a_map_keeps_clusters_apart_and_is_the_same_again():
    plane = tsne_map(CLUSTERS, QUICK)
    assert plane.shape == (80, 2)
    assert plane.dtype == np.float32
    centres = np.array([plane[group == GROUPS].mean(0) for group in (0, 1)])
    nearest = np.linalg.norm(plane[:, None] - centres, axis=2).argmin(1)
    assert (nearest == GROUPS).all()
    np.testing.assert_array_equal(plane, tsne_map(CLUSTERS, QUICK))
    assert (plane != tsne_map(CLUSTERS, replace(QUICK, seed=1))).any()
    assert (plane != tsne_map(CLUSTERS, replace(QUICK, start="pca"))).any()


def test_collapsed_vectors_have_no_map():
    plane = tsne_map(np.ones((30, 4), np.float32), QUICK)
    assert np.isnan(plane).all()
    assert np.isnan(map_trustworthiness(np.ones((30, 4)), plane))


@pytest.mark.parametrize(("perplexity", "start"), [(0.5, "random"), (30.0, "middle")])
def test_impossible_settings_are_refused(perplexity, start):
    with pytest.raises(SettingsError, match=f"perplexity {perplexity} and start '{start}'"):
        MapSettings(perplexity, start)


def test_fewer_vectors_than_the_perplexity_are_refused():
    with pytest.raises(SettingsError, match="10 vectors with perplexity 10"):
        tsne_map(CLUSTERS[:10], QUICK)


def test_trustworthiness_by_plain_loops():
    points, plane, k, n = CLUSTERS[:40], RNG.normal(size=(40, 2)), 10, 40
    ranks = np.argsort(np.argsort(np.linalg.norm(points[:, None] - points, axis=2), axis=1), axis=1)
    on_map = np.argsort(np.linalg.norm(plane[:, None] - plane, axis=2), axis=1)[:, 1:k + 1]
    penalty = sum(max(0, ranks[i, j] - k) for i in range(n) for j in on_map[i])
    expected = 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty
    assert map_trustworthiness(points, plane) == pytest.approx(expected)
    assert map_trustworthiness(plane, plane) == 1


def test_trustworthiness_of_a_large_map_is_that_of_its_first_cells(monkeypatch):
    plane = RNG.normal(size=(80, 2)).astype(np.float32)
    monkeypatch.setattr("a2v_core.observations.tsne.TRUSTED", 50)
    expected = trustworthiness(CLUSTERS[:50].astype(float), plane[:50].astype(float), n_neighbors=10)
    assert map_trustworthiness(CLUSTERS, plane) == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------ plan


def test_more_random_rows_include_the_fewer_of_a_seed():
    rows = random_rows(1000, 300, 3)
    assert len(set(rows.tolist())) == 300
    np.testing.assert_array_equal(random_rows(1000, 50, 3), rows[:50])
    assert (random_rows(1000, 50, 4) != rows[:50]).any()
    assert len(random_rows(20, 50, 3)) == 20


def test_unknown_profiles_are_refused():
    with pytest.raises(SettingsError, match=r"'slow'.*smoke, quick, full"):
        latent_plan.scale_of("slow")


def test_recipes_differ_on_the_first_data_set_only(monkeypatch):
    monkeypatch.setattr(latent_plan, "existing_seeds",
                        lambda kind, recipe, space, seeds, data_dir: list(seeds)[:3 if kind == "arch2vec" else None])
    scale = latent_plan.scale_of("full")
    first = latent_plan.arms(scale, "nasbench201", "cifar10", 250, 7)
    assert list(first) == [(kind, recipe) for recipe in ("released", "paper", "corrected") for kind in SOURCES] + [
        ("untrained", "released"), ("one_hot", "")]
    assert list(latent_plan.arms(scale, "nasbench101", "cifar10", 250, 7))[-1] == ("pca", "")
    assert [one.seed for one in first["arch2vec", "paper"]] == [7, 8, 9]
    assert [one.seed for one in first["supervised", "paper"]] == [7, 8, 9, 10, 11]
    other = latent_plan.arms(scale, "nasbench201", "cifar100", 100, 0)
    assert ("arch2vec", "paper") not in other
    assert {(one.dataset, one.labels) for one in other["supervised", "released"]} == {("cifar100", 100)}
    assert {one.dataset for one in other["arch2vec", "released"]} == {"cifar10"}
    maps = latent_plan.large_maps(scale, 250, 0)
    assert [len(of_arm) for of_arm in maps.values()] == [3, 5, 1, 1, 1]
    assert maps["normal", ""][0]["representation"] is None
    shown = latent_plan.setting_maps(scale, "supervised", 250, 0)
    assert len({task["settings"] for (task,) in shown.values()}) == len(shown) == 9


def test_measures_are_stored_and_their_numbers_belong_to_the_accuracies(tmp_path, made_accuracies, monkeypatch):
    found = measure("nasbench201", "cifar10", PCA, 200, 100, data_dir=str(tmp_path))
    assert 0 < found.distinct_embeddings < 100  # 16 of 24 directions
    assert abs(found.neighbour_correlation) < 0.3  # the accuracies are random
    assert 0.8 < found.variance_ratio < 1.2
    monkeypatch.setattr(latent_measures, "_measures", lambda *arguments: pytest.fail("measured again"))
    assert measure("nasbench201", "cifar10", PCA, 200, 100, data_dir=str(tmp_path)) == found


def test_collapsed_vectors_have_no_measures_and_are_stored(tmp_path, made_accuracies, monkeypatch):
    monkeypatch.setattr(Features, "build", lambda *arguments: np.ones((len(NB201.cells()), 16), np.float32))
    one = Representation("arch2vec", "paper")
    for _ in range(2):
        found = measure("nasbench201", "cifar10", one, 200, 100, data_dir=str(tmp_path))
        assert found.distinct_embeddings == 0
        assert np.isnan([found.neighbour_correlation, found.morans_i, found.principal_share]).all()


def test_maps_are_stored_and_hold_the_accuracies_of_their_cells(tmp_path, made_accuracies, monkeypatch):
    wanted = {"pca": [{"representation": PCA, "cells": 60, "areas": 5, "sample": 3, "settings": QUICK}],
              "normal": [{"representation": None, "cells": 60, "areas": 5, "sample": 3, "settings": QUICK}]}
    maps = latent_plan.make_maps(wanted, data_dir=str(tmp_path), n_jobs=1)
    found, noise = maps["pca"][3], maps["normal"][3]
    np.testing.assert_array_equal(found.values, made_accuracies[found.rows])
    np.testing.assert_array_equal(found.rows, noise.rows)
    points = PCA.build(NB201, data_dir=str(tmp_path))[found.rows]
    np.testing.assert_array_equal(found.plane, tsne_map(points, QUICK))
    assert found.trustworthiness == map_trustworthiness(points, found.plane)
    assert found.means.shape == (5, 5)
    assert 0 < found.relative_roughness < 2
    monkeypatch.setattr(latent_plan, "tsne_map", lambda *arguments: pytest.fail("mapped again"))
    again = latent_plan.make_maps(wanted, data_dir=str(tmp_path), n_jobs=1)["pca"][3]
    np.testing.assert_array_equal(again.plane, found.plane)
    assert len(list((ArtifactStore(tmp_path).root / "maps").glob("*.npz"))) == 2


# ------------------------------------------------------------------------------------------------ tables, figures


def measures(correlation, distinct=40.0):
    return Measures(correlation, correlation, 0.5, 0.02, correlation, correlation, distinct, 3.0, 20.0)


def made_map(rough, seed=0, areas=4):
    """A map of one cell an area on a full square, accuracies of a chessboard `rough` apart."""
    row, column = np.divmod(np.arange(areas**2), areas)
    return Map(np.arange(areas**2), np.stack([column, row], 1).astype(np.float32), 0.9,
               0.9 + rough * ((row + column) % 2), areas)


def test_means_are_over_the_trainings_that_have_a_number():
    found = {0: measures(0.4), 1: measures(NAN, 0.0), 2: measures(0.6)}
    mean = latent_tables.over_trainings(found, "neighbour_correlation")
    assert (mean.value, mean.n) == (pytest.approx(0.5), 2)
    assert latent_tables.over_trainings({1: measures(NAN)}, "neighbour_correlation") is None
    shown = latent_tables.table({("arch2vec", "paper"): found, ("pca", ""): {0: measures(0.2)}}, latent_tables.MEASURES)
    assert list(shown.index) == ["arch2vec, paper", "PCA of one-hot"]
    assert list(shown["trainings"]) == ["2 of 3", "1"]
    lost = latent_tables.table({("arch2vec", "paper"): {1: measures(NAN, 0.0)}}, latent_tables.MEASURES).iloc[0]
    assert (lost["correlation with neighbours"], lost["distinct embeddings, %"]) == ("none", "0.0")


def test_differences_pair_trainings_by_their_seed():
    found = {("arch2vec", "released"): {0: measures(0.5), 2: measures(0.7), 3: measures(NAN)},
             ("supervised", "released"): {0: measures(0.2), 1: measures(0.9), 2: measures(0.6), 3: measures(0.1)}}
    gap = latent_tables.difference(found, "neighbour_correlation", "released")
    assert (gap.value, gap.n) == (pytest.approx((0.3 + 0.1) / 2), 2)
    shown = latent_tables.differences({("nasbench101", "cifar10"): found}, {})
    assert list(shown.columns) == ["NAS-Bench-101, CIFAR-10, released"]
    assert shown.loc["correlation with neighbours"].item().startswith("0.20 [")
    del found["arch2vec", "released"][2]
    assert "correlation with neighbours" not in latent_tables.differences({("nasbench101", "cifar10"): found}, {}).index
    del found["arch2vec", "released"][3]
    assert latent_tables.differences({("nasbench101", "cifar10"): found}, {}).empty
    assert latent_tables.difference(found, "neighbour_correlation", "released") is None


def test_one_cell_an_area_on_a_chessboard():
    one = made_map(0.05)
    assert one.occupied_share == 100
    assert one.roughness == pytest.approx(0.05)
    assert one.relative_roughness == pytest.approx(15 / 8)  # 64 of 120 pairs differ
    assert one.coloured_roughness == pytest.approx(0.02)
    assert one.relative_coloured_roughness == pytest.approx(15 / 8)


def made_page():
    trainings = {("arch2vec", "released"): {i: measures(0.5 + i / 100, 40.0) for i in range(3)},
                 ("supervised", "released"): {i: measures(0.7 - i / 100, 95.0) for i in range(3)},
                 ("untrained", "released"): {0: measures(0.6)}, ("pca", ""): {0: measures(0.4)}}
    maps = {("arch2vec", "released"): {i: made_map(0.05 + i / 1000) for i in range(3)},
            ("supervised", "released"): {i: made_map(0.02 - i / 1000) for i in range(3)},
            ("normal", ""): {0: made_map(0.03)}}
    return {("nasbench101", "cifar10"): trainings, ("nasbench201", "cifar100"): trainings}, maps


def test_recorded_numbers_have_identities_of_their_own():
    page, (found, maps) = Page("obs4_latent_space", "smoke"), made_page()
    for (space, dataset), trainings in found.items():
        latent_tables.record_measures(page, space, dataset, trainings)
    latent_tables.record_maps(page, maps, "exact")
    latent_tables.record_maps(page, {("arch2vec", "paper"): {0: replace(made_map(0.1), plane=np.full((16, 2), NAN))}},
                              "small_maps")
    content = page.as_dict()
    check_results(content, "page")
    values = {(v["id"], v["recipe"], v["definition"]): v for v in content["values"]}
    claimed = values["obs4/arch2vec/roughness", "released", "exact"]
    assert (claimed["value"], claimed["n"], claimed["unit"]) == (pytest.approx(5.1), 3, "percentage points")
    assert values["obs4/supervised/distinct_embeddings", "released", "exact"]["value"] == 95
    assert values["obs4/arch2vec/neighbour_correlation", "released", "exact"]["value"] == pytest.approx(0.51)
    assert values["obs4/nasbench201/cifar100/pca/morans_i", "", "exact"]["value"] == 0.4
    assert values["obs4/arch2vec/occupied_share", "paper", "small_maps"]["value"] is None


def test_findings_follow_the_numbers():
    found, maps = made_page()
    settings = {source: {(30.0, "a"): {0: made_map(0.05)}, (5.0, "a"): {0: made_map(0.03)}} for source in SOURCES}
    text = "\n".join(findings(found, maps, settings))
    assert "the reverse of what the paper says" in text
    assert "similar accuracies lie closer together under supervision" in text
    assert "the map of arch2vec is rougher" in text
    assert "2.00 to 2.00 (arch2vec)" in text
    assert "NAS-Bench-201, CIFAR-100" in text
    here = found["nasbench101", "cifar10"]
    for numbers in (here, maps):
        first, second = (numbers[source, "released"] for source in SOURCES)
        numbers["arch2vec", "released"], numbers["supervised", "released"] = second, first
    text = "\n".join(findings(found, maps, settings))
    assert "under supervision, as the paper says" in text
    assert "closer together for arch2vec, as the paper says" in text
    assert "the map of arch2vec is smoother" in text
    lone = {arm: dict(list(of_arm.items())[:1]) for arm, of_arm in here.items()}
    assert "too few trainings" in findings({("nasbench101", "cifar10"): lone}, maps, settings)[0]


def test_figures_show_the_areas_and_say_what_has_collapsed():
    lost = replace(made_map(0.1), plane=np.full((16, 2), NAN, np.float32))
    figure = latent_figures.plot_maps({"a map": made_map(0.05), "lost": lost}, 2)
    first, second = figure.axes[:2]
    np.testing.assert_allclose(np.ma.filled(first.images[0].get_array(), NAN), 100 * made_map(0.05).means)
    assert first.get_title() == "a map\n100 % of areas, roughness 2.00"
    assert second.get_title() == "lost"
    assert "on one point" in second.texts[0].get_text()
    colours = latent_figures.accuracy_colours()
    norm = first.images[0].norm
    assert colours(norm(81.9))[:3] == (0, 0, 0)
    assert tuple(colours(norm(92.1))) == tuple(colours.get_over())
    panels, rows = latent_tables.panels(made_page()[0]["nasbench101", "cifar10"])
    shown = latent_figures.plot_measures(panels, rows)
    assert [ax.get_xlabel() for ax in shown.axes[:len(panels)]] == [h for h, _, _ in latent_tables.MEASURES.values()]
    plt.close("all")
