"""Embeddings of changed pre-trainings."""

import dataclasses

import pytest
from made_small import SPACE, N

from a2v_core import pretraining
from a2v_core.artifacts import ArtifactStore
from a2v_core.pretraining import training_key
from a2v_core.recipes import pretraining_settings
from a2v_core.search.changed_features import ChangedFeatures, train_together
from a2v_core.search.features import Features


@pytest.mark.parametrize("changes", [{"epochs": 2}, {"beta": 0.0}, {"latent": 4}, {"epochs": 1, "latent": 4}, {}])
def test_changes_reach_the_training_and_nothing_else(changes):
    found = ChangedFeatures(seed=1, changes=tuple(changes.items()))
    recipe = pretraining_settings("released", "arch2vec", SPACE.name)
    assert found.settings(SPACE) == dataclasses.replace(recipe, **changes)
    assert found.identity(SPACE)["model"] == training_key(SPACE.cells(), found.settings(SPACE), 1)


def test_every_training_has_an_identity_and_a_label_of_its_own():
    changes = (("epochs", 1), ("beta", 0.0), ("beta", 16.0), ("latent", 4))
    several = [Features("arch2vec"), *(ChangedFeatures(changes=(change,)) for change in changes),
               ChangedFeatures(seed=2, changes=(("latent", 8),))]
    assert len({str(each.identity(SPACE)) for each in several}) == len(several)
    assert [each.label for each in several] == [
        "arch2vec-released-0", "arch2vec-released-0-epochs=1", "arch2vec-released-0-beta=0.0",
        "arch2vec-released-0-beta=16.0", "arch2vec-released-0-latent=4", "arch2vec-released-2-latent=8"]


def test_seeds_of_one_setting_are_trained_together_and_read_afterwards(tmp_path, monkeypatch):
    store, stacks, train = ArtifactStore(tmp_path), [], pretraining.train
    monkeypatch.setattr(pretraining, "train", lambda cells, n, settings, seeds, **options: (
        stacks.append((settings.latent, list(seeds))), train(cells, n, settings, seeds, **options))[1])
    several = [ChangedFeatures(seed=seed, changes=(("epochs", 1), ("latent", latent)))
               for latent in (4, 8) for seed in (0, 1)]
    train_together(several, SPACE, store)
    assert stacks == [(4, [0, 1]), (8, [0, 1])]
    train_together(several, SPACE, store)
    embeddings = [each.build(SPACE, store) for each in several]
    assert len(stacks) == 2
    assert [each.shape for each in embeddings] == [(N, 4), (N, 4), (N, 8), (N, 8)]
    assert (embeddings[0] != embeddings[1]).any()
