"""Vectors of the cells, and their test accuracies."""

import numpy as np
import pytest

from a2v_core.artifacts import ArtifactStore
from a2v_core.errors import DataError, MissingDataError, SettingsError
from a2v_core.observations import accuracies as accuracies_module
from a2v_core.observations import representations
from a2v_core.observations.accuracies import DATASETS, accuracies, accuracy_digest, table_name
from a2v_core.observations.representations import KINDS, SIZE, Representation
from a2v_core.observations.supervised import train_counterpart
from a2v_core.search.features import Features, one_hot
from a2v_core.spaces import get_space
from a2v_core.spaces.darts import DARTS

NB201 = get_space("nasbench201")
MADE = 0.8 + 0.02 * (NB201.cells().ops == 2).sum(1)


@pytest.fixture
def made_accuracies(monkeypatch):
    """Accuracies of NAS-Bench-201 without a table."""
    monkeypatch.setattr(representations, "accuracies", lambda *_: MADE)
    monkeypatch.setattr(representations, "accuracy_digest", lambda space, dataset, _="": f"{space}-{dataset}")


# ------------------------------------------------------------------------------------------------ vectors


def test_unknown_kinds_are_refused():
    with pytest.raises(SettingsError, match=f"'gcn': choose one of {', '.join(KINDS)}"):
        Representation("gcn")


def test_labels():
    assert Representation("arch2vec", "paper", 3).label == "arch2vec, paper"
    assert Representation("supervised", "corrected", labels=1000).label == "supervised, corrected, 1,000 labels"
    assert Representation("pca").label == "PCA of one-hot, 16"
    assert len({Representation(kind).label for kind in KINDS}) == len(KINDS)


def test_which_have_a_seed(tmp_path, made_accuracies):
    for kind in KINDS:
        one, other = (Representation(kind, seed=seed).identity(NB201, str(tmp_path)) for seed in (0, 1))
        assert (one != other) == Representation(kind).has_seed, kind


def test_identities_differ_between_kinds_and_settings(tmp_path, made_accuracies):
    some = [*(Representation(kind) for kind in KINDS), Representation("arch2vec", "paper"),
            Representation("supervised", "paper"), Representation("supervised", labels=50),
            Representation("supervised", dataset="cifar100")]
    identities = [str(each.identity(NB201, str(tmp_path))) for each in some]
    assert len(set(identities)) == len(some)


@pytest.mark.parametrize("kind", ["one_hot", "path"])
def test_discrete_encodings_are_those_of_the_searches(kind, tmp_path):
    found = Representation(kind).build(NB201, data_dir=str(tmp_path))
    assert found.dtype == np.float32
    assert np.array_equal(found, Features(kind).build(NB201, ArtifactStore(tmp_path)))


def test_principal_components_are_those_of_the_singular_value_decomposition(tmp_path):
    found = Representation("pca").build(NB201, data_dir=str(tmp_path))
    assert found.shape == (len(NB201.cells()), SIZE)
    assert found.dtype == np.float32
    matrices = one_hot(NB201).astype(np.float64)
    centred = matrices - matrices.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(found.astype(np.float64), axis=0), singular[:SIZE], rtol=1e-5)
    # Components do not correlate, and distances shrink at most.
    covariance = np.cov(found.astype(np.float64).T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-4
    pairs = np.random.default_rng(0).integers(len(found), size=(2, 500))
    distance = [np.linalg.norm(x[pairs[0]] - x[pairs[1]], axis=1) for x in (found, centred)]
    assert (distance[0] <= distance[1] + 1e-4).all()


def test_what_was_made_is_stored(tmp_path, monkeypatch):
    first = Representation("pca").build(NB201, data_dir=str(tmp_path))
    monkeypatch.setattr(Representation, "_principal", lambda *_: pytest.fail("made again"))
    assert np.array_equal(Representation("pca").build(NB201, data_dir=str(tmp_path)), first)


def test_an_untrained_encoder_depends_on_its_seed(tmp_path):
    one, other = (Representation("untrained", seed=seed).build(NB201, data_dir=str(tmp_path), device="cpu")
                  for seed in (0, 1))
    assert one.shape == other.shape == (len(NB201.cells()), SIZE)
    assert not np.allclose(one, other)


def test_a_supervised_representation_is_the_embedding_of_the_trained_network(tmp_path, made_accuracies):
    found = Representation("supervised", "paper", 4, labels=10).build(NB201, data_dir=str(tmp_path), device="cpu")
    expected = train_counterpart("nasbench201", MADE, "paper", [4], 10, "cpu").embedding(0)
    assert np.array_equal(found, expected)


def test_a_space_without_accuracies_has_no_supervised_representation(tmp_path):
    with pytest.raises(SettingsError, match="'darts': there are some of nasbench101, nasbench201"):
        Representation("supervised").identity(DARTS(n_cells=20), str(tmp_path))


# ------------------------------------------------------------------------------------------------ accuracies


def test_unknown_data_sets_are_refused():
    with pytest.raises(SettingsError, match="'cifar100' of nasbench101: choose one of cifar10"):
        accuracies("nasbench101", "cifar100")
    with pytest.raises(SettingsError, match="'darts'"):
        table_name("darts")


def test_a_missing_table_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("A2V_DATA_MIRROR", raising=False)
    with pytest.raises(MissingDataError, match="nb201_test200"):
        accuracies("nasbench201", "cifar10", str(tmp_path))


def test_a_table_in_another_order_is_refused(monkeypatch):
    import pandas as pd

    n = len(NB201.cells())
    table = pd.DataFrame({"dataset": "cifar10", "index": np.arange(n)[::-1], "test200_mean": 90.0})
    table.attrs["a2v"] = {"content": "0" * 64}
    monkeypatch.setattr(accuracies_module, "load_table", lambda *_: table)
    with pytest.raises(DataError, match="nb201_test200 does not hold a test accuracy for each of the 15625 cells"):
        accuracies("nasbench201", "cifar10", "somewhere else")


@pytest.mark.parametrize(("space", "dataset", "best"), [
    ("nasbench101", "cifar10", 0.943175752957662), ("nasbench201", "cifar10", 0.943733),
    ("nasbench201", "cifar100", 0.735133), ("nasbench201", "imagenet16_120", 0.473111)])
def test_the_best_published_accuracies(space, dataset, best):
    try:
        found = accuracies(space, dataset)
    except MissingDataError as error:
        pytest.skip(str(error))
    assert found.shape == (len(get_space(space).cells()),)
    assert found.dtype == np.float64
    assert found.max() == pytest.approx(best, abs=1e-6)
    assert found.min() > 0
    assert not found.flags.writeable
    assert len(accuracy_digest(space, dataset)) == 64
    assert dataset in DATASETS[space]
