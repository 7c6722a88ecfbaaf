import numpy as np
import pytest

from a2v_core.errors import DataError
from a2v_core.point_clouds import n_different, radius


def test_by_hand():
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32) + np.float32(0.25)
    assert n_different(np.repeat(square, 3, axis=0)) == 4
    assert radius(square) == pytest.approx(np.sqrt(0.5))
    # 0.3 radii are 0.21: no two corners are that close; 1.5 are 1.06: all are joined along the sides.
    assert (n_different(square, 0.3), n_different(square, 1.5)) == (4, 1)


def test_noise_in_the_last_digits_makes_no_point():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, 16))
    points = centres.repeat(20, axis=0)
    points = (points + rng.uniform(-1, 1, points.shape) * 1e-6).astype(np.float32)
    assert len(np.unique(points, axis=0)) == 6000
    assert n_different(points) == 300
    # Noise of many times the tolerance does.
    assert n_different(centres.repeat(2, axis=0) + rng.normal(size=(600, 16)) * 1e-2) == 600


def test_a_point_on_the_edge_of_a_box_is_not_counted_twice():
    edge = np.array([[-1e-7], [1e-7], [1.0], [-1.0]])
    assert n_different(edge) == 3


@pytest.mark.parametrize("points", [np.zeros((5, 3)), np.full((1, 3), 7.0), np.array([[0.0], [-0.0]])])
def test_all_on_one_point(points):
    assert n_different(points) == 1


def test_nearly_all_on_one_point_takes_no_pairs():
    points = np.zeros((200_000, 16), np.float32)
    points[:, 0] = np.random.default_rng(0).uniform(0, 1e-8, len(points))
    points[-1] = 1
    assert n_different(points) == 2


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="row 1 is not finite"):
        n_different(np.array([[0.0], [np.nan]]))
