"""Numbers and sentences of the page on pre-training, from made runs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from made_pages import of_all
from made_small import SPACE

from a2v_core.artifacts import ArtifactStore
from a2v_core.results import Page
from a2v_core.search import pretraining_tables
from a2v_core.search.baselines_plan import NASBENCH101
from a2v_core.search.estimates import held
from a2v_core.search.features import Features, one_hot
from a2v_core.search.methods import get_method
from a2v_core.search.pretraining_plan import VARIED, pretraining
from a2v_core.search.pretraining_tables import PART_NAMES, gap, vectors_of
from a2v_core.stats import unpaired_difference


@pytest.fixture(scope="module")
def made():
    """Parts of the page on NAS-Bench-201, and made runs of their groups."""
    parts = {part: groups for part, groups in pretraining("quick").groups.items() if part != NASBENCH101}
    return parts, of_all([group for groups in parts.values() for group in groups])


def find(groups, method, note):
    return next(g for g in groups if (g.method, g.note) == (method, note))


def test_every_row_has_a_name():
    planned = pretraining("full").groups
    for groups in planned.values():
        names = [(g.method, vectors_of(g)) for g in groups]
        assert len(set(names)) == len(names)
    varied = [vectors_of(g) for g in planned[VARIED] if g.method == "arch2vec_rl"]
    assert varied[:2] == ["pre-trained", "epochs 1"]
    assert {"weight of KL 0", "weight of KL 256", "dimensions 64"} <= set(varied)
    assert set(PART_NAMES) == set(planned)


def test_a_gap_is_what_the_pretrained_embedding_has_more(made):
    parts, runs = made
    groups = parts["cifar10"]
    reference, pca, untrained = (find(groups, "arch2vec_bo", note) for note in ("", "pca", "untrained"))
    test = {g.note: 100 * held(runs[g.name], "test") for g in (reference, pca, untrained)}
    found = gap(pca, groups, runs)
    # Two pre-trainings are two samples, principal components are there once.
    means = np.array([test[""][:10].mean(), test[""][10:].mean()])
    assert found == unpaired_difference(means, test["pca"])
    assert gap(untrained, groups, runs).value == pytest.approx(test[""].mean() - test["untrained"].mean())
    assert gap(reference, groups, runs) is None
    assert gap(pca, [pca], runs) is None


def test_rows_show_and_record_the_same_numbers(made):
    parts, runs = made
    for part, groups in parts.items():
        page = Page("made", "quick")
        pretraining_tables.record(page, part, groups, runs)
        values = {value["id"]: value for value in page.as_dict()["values"]}
        table = pretraining_tables.table(groups, runs)
        assert len(table) == len(groups)
        for group, (_, row) in zip(groups, table.iterrows(), strict=True):
            stem = f"beyond/pretraining/{part}/{group.method}/{group.note.replace('=', '_') or 'pretrained'}"
            assert row["test"].startswith(f"{values[f'{stem}/test']['value']:.2f} [")
            best = 100 * runs[group.name].objective.best_test
            assert values[f"{stem}/regret"]["value"] == pytest.approx(best - values[f"{stem}/test"]["value"])
            assert (f"{stem}/pretrained_minus_this" in values) == bool(group.note) == bool(row.iloc[2])
            assert row["runs"] == runs[group.name].n_runs
            assert row["samples"] == (2 if len(group.arms) == 2 else row["runs"])


def test_words_say_what_the_intervals_say(made):
    parts, runs = made
    table = pretraining_tables.told(parts, runs, {})
    assert list(table.columns) == [name for part, name in PART_NAMES.items() if part in parts and part != VARIED]
    for part, groups in parts.items():
        for group in (g for g in groups if g.note):
            more = gap(group, groups, runs)
            word = "better" if more.low > 0 else "worse" if more.high < 0 else "not told apart"
            row = (get_method(group.method).label, vectors_of(group))
            assert table.loc[row, PART_NAMES["cifar10" if part == VARIED else part]] == word
            if part == VARIED:
                assert table.loc[row, "CIFAR-100"] == ""
    assert pretraining_tables.told({}, {}, {}).empty


def test_the_figure_has_a_panel_for_each_part(made):
    parts, runs = made
    figure = pretraining_tables.plot_gaps(parts, runs, {})
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    plt.close(figure)
    assert titles == [PART_NAMES[part] for part in parts]
    assert pretraining_tables.plot_gaps({"cifar10": parts["cifar10"][:1]}, runs, {}) is None


def test_clouds_of_points_are_measured_where_their_models_are(made, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining_tables, "get_space", lambda name: SPACE)
    groups = [find(made[0]["cifar10"], "arch2vec_rl", note) for note in ("", "untrained_scaled", "one_hot", "pca")]
    table = pretraining_tables.embedding_table(groups, str(tmp_path))
    assert list(table.index) == ["one-hot matrices", "principal components"]
    matrices = one_hot(SPACE).astype(np.float64)
    row = table.loc["one-hot matrices"]
    distances = np.linalg.norm(matrices - matrices.mean(0), axis=1)
    assert (row["dimensions"], row["different points"]) == (matrices.shape[1], str(len(np.unique(matrices, axis=0))))
    assert (row["radius"], row["centre to origin"]) == (
        f"{distances.max():.2f}", f"{np.linalg.norm(matrices.mean(0)):.2f}")
    short = Features("arch2vec", epochs=1)
    short.build(SPACE, ArtifactStore(tmp_path))
    assert pretraining_tables._at_hand(short, SPACE, ArtifactStore(tmp_path))
