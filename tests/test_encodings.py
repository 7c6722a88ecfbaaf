import numpy as np
import pytest

from a2v_core.artifacts import ArtifactStore
from a2v_core.encodings import SCALES, round_trip, trained_embeddings, whole_classes
from a2v_core.errors import SettingsError
from a2v_core.identifiability import Classes
from a2v_core.spaces import get_space
from a2v_core.table1 import Arm


def test_a_round_trip_counts_the_cells_that_come_back():
    space = get_space("nasbench201")
    cells = space.cells()[:40]
    assert round_trip(space, cells) == 100

    class Forgetful(type(space)):
        """Reads the first ten strings back with one edge too many, the next five with another operation."""

        def from_native(self, natives):
            back = super().from_native(natives)
            back.adjacency[:10, 0, 7] = 1
            back.ops[10:15, 1] = (back.ops[10:15, 1] + 1) % 7
            return back

    assert round_trip(Forgetful(), cells) == 62.5


def test_whole_classes_are_whole_and_at_least_as_many_as_wanted():
    labels = np.random.default_rng(0).integers(0, 300, 1000)
    classes = Classes(np.unique(labels, return_inverse=True)[1])
    rows = whole_classes(classes, 200, seed=1)
    chosen = np.unique(classes.labels[rows])
    np.testing.assert_array_equal(rows, np.flatnonzero(np.isin(classes.labels, chosen)))
    assert 200 <= len(rows) < 200 + classes.largest
    np.testing.assert_array_equal(rows, whole_classes(classes, 200, seed=1))
    assert not np.array_equal(rows, whole_classes(classes, 200, seed=2))
    for everything in (None, 1000, 5000):
        np.testing.assert_array_equal(whole_classes(classes, everything, seed=1), np.arange(1000))


def test_embeddings_come_from_a_model_of_the_arm_and_are_found_again(tmp_path):
    space = get_space("nasbench201")
    cells, store = space.cells()[:100], ArtifactStore(tmp_path)
    arm = Arm("nasbench201", "released", "arch2vec")
    first = trained_embeddings(arm, space, cells, 0, SCALES["smoke"], store)
    assert first.shape == (100, 16)
    assert len(list((tmp_path / "artifacts" / "pretrained").glob("*.safetensors"))) == 1
    np.testing.assert_array_equal(first, trained_embeddings(arm, space, cells, 0, SCALES["smoke"], store))
    assert not np.array_equal(first, trained_embeddings(arm, space, cells, 1, SCALES["smoke"], store))
    with pytest.raises(SettingsError, match="arm is of darts"):
        trained_embeddings(Arm("darts", "released", "arch2vec"), space, cells, 0, SCALES["smoke"], store)
