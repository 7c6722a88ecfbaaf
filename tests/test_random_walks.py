import numpy as np
import pytest

from a2v_core.edit_distance import edit_distance
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.random_walks import lag_pairs, random_walk
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.darts_encoding import cells_to_edges
from a2v_core.spaces.nasbench101 import NASBench101
from a2v_core.spaces.nasbench101_enumeration import enumerate_cells
from a2v_core.spaces.nasbench201 import NASBench201


class SmallNASBench101(NASBench101):
    """The space with a sample of its cells, so that no hashes are needed."""

    def cells(self):
        cells = enumerate_cells()
        return cells[np.arange(0, len(cells), 1000)]


def made(name):
    return {"nasbench101": SmallNASBench101, "nasbench201": NASBench201, "darts": lambda: DARTS(200)}[name]()


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_consecutive_cells_are_one_edit_apart(name):
    space = made(name)
    walk = random_walk(space, 40, seed=3)
    assert len(walk) == 40
    assert space.is_valid(walk).all()
    assert (edit_distance(walk[:-1], walk[1:]) == 1).all()
    assert (walk.n_nodes == space.n_nodes).all()


def test_a_step_on_darts_changes_one_operation_or_one_input():
    space = made("darts")
    walk = random_walk(space, 60, seed=0)
    assert space.is_valid(walk).all()
    edges = cells_to_edges(walk)
    operations = (edges.ops[1:] != edges.ops[:-1]).sum(1)
    inputs = (edges.inputs[1:] != edges.inputs[:-1]).sum(1)
    assert (operations + inputs == 1).all()
    assert 0 < operations.sum() < 59
    distance = edit_distance(walk[:-1], walk[1:])
    assert (distance[operations == 1] == 1).all()
    assert set(distance[inputs == 1]) <= {2, 3, 4}


def test_the_seed_decides_the_walk():
    space = NASBench201()
    walk, again, other = (random_walk(space, 30, seed) for seed in (1, 1, 2))
    assert walk.digest() == again.digest() != other.digest()


def test_steps_are_uniform_over_the_neighbours():
    # From one start, each of the 24 neighbours is the next cell equally often.
    space = NASBench201()
    start = space.cells()[100]
    seconds = [space.rows(random_walk(space, 2, seed, start))[1] for seed in range(480)]
    counts = np.unique(seconds, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 20) ** 2 / 20).sum() < 49.7  # chi-square with 23 degrees of freedom, 0.1 %


def test_a_walk_from_a_given_cell():
    space = NASBench201()
    start = space.cells()[7]
    assert random_walk(space, 1, 0, start).digest() == start.digest()


def test_a_cell_without_neighbours():
    class Lonely(NASBench201):
        def neighbours(self, cell):
            return cell[:0]

    with pytest.raises(SpaceError, match="cell 0 of the walk has no neighbour"):
        random_walk(Lonely(), 3, 0)


def test_lag_pairs_by_hand():
    first, second, steps = lag_pairs(4, (1, 3, 9))
    assert first.tolist() == [0, 1, 2, 0]
    assert second.tolist() == [1, 2, 3, 3]
    assert steps.tolist() == [1, 1, 1, 3]


def test_bad_settings():
    with pytest.raises(SettingsError, match="a walk of 0 cells"):
        random_walk(NASBench201(), 0, 0)
    for lags in ((), (0, 1), (5, 6)):
        with pytest.raises(SettingsError, match="lags"):
            lag_pairs(5, lags)
