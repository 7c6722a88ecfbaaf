"""Vectors that owe nothing to a training: principal components, and an untrained encoder at the size of the trained."""

import dataclasses

import numpy as np
import pytest
from made_small import SPACE, N

from a2v_core import pretraining
from a2v_core.artifacts import ArtifactStore
from a2v_core.search import control_features
from a2v_core.search.control_features import COMPONENTS, PrincipalComponents, ScaledUntrained
from a2v_core.search.features import Features, one_hot

#: One epoch, so that the training that the scale comes from takes a moment.
SCALED = ScaledUntrained(seed=3, epochs=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("data"))


def test_principal_components_are_those_of_the_one_hot_matrices(store):
    found = PrincipalComponents().build(SPACE, store)
    matrices = one_hot(SPACE).astype(np.float64)
    centred = matrices - matrices.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    assert (found.shape, found.dtype) == ((N, COMPONENTS), np.float32)
    # Components of equal variance may be rotated among themselves: the distances of cells are those of the subspace.
    projected = centred @ axes[:COMPONENTS].T
    np.testing.assert_allclose(found @ found.T, projected @ projected.T, atol=1e-4)
    np.testing.assert_allclose(found.var(0), projected.var(0), atol=1e-5)
    for column in found.T:
        weights = centred.T @ column
        assert weights[np.abs(weights).argmax()] > 0


def test_principal_components_are_computed_once(store, monkeypatch):
    first = PrincipalComponents().build(SPACE, store)
    monkeypatch.setattr(control_features, "_project", lambda matrices: pytest.fail("computed again"))
    PrincipalComponents().prepare(SPACE, store)
    np.testing.assert_array_equal(PrincipalComponents().build(SPACE, store), first)


def test_the_scaled_encoder_has_the_centre_and_the_spread_of_the_trained_one(store):
    found = SCALED.build(SPACE, store)
    trained, untrained = (Features(kind, seed=3, epochs=1).build(SPACE, store) for kind in ("arch2vec", "untrained"))
    np.testing.assert_allclose(found.mean(0), trained.mean(0), atol=1e-5)
    assert found.var(0).sum() == pytest.approx(trained.var(0).sum(), rel=1e-4)
    assert untrained.var(0).sum() != pytest.approx(trained.var(0).sum(), rel=0.1)
    # One factor for all of the untrained embedding.
    ratio = found.std(0) / untrained.std(0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
    assert np.corrcoef(found[:, 0], untrained[:, 0])[0, 1] == pytest.approx(1, abs=1e-5)


def test_what_is_prepared_needs_no_training(store, monkeypatch):
    SCALED.prepare(SPACE, store)
    monkeypatch.setattr(pretraining, "pretrain", lambda *_, **__: pytest.fail("trained again"))
    SCALED.build(SPACE, store)


def test_every_kind_has_an_identity_and_a_label_of_its_own():
    kinds = [Features("one_hot"), PrincipalComponents(), Features("untrained"), ScaledUntrained(),
             dataclasses.replace(ScaledUntrained(), seed=1)]
    assert len({str(kind.identity(SPACE)) for kind in kinds}) == len(kinds)
    assert [kind.label for kind in kinds] == ["one_hot", "pca16", "untrained-released-0", "untrained-released-0-scaled",
                                              "untrained-released-1-scaled"]
