"""Volumes held by their boxes are the volumes."""

import numpy as np
import pytest

from phantoms.grid import Grid
from phantoms.subvoxels import SubVoxels
from validation.metrics.volumes import Volume

SHAPE = (7, 8, 9)


@pytest.mark.parametrize(
    "box", [np.s_[2:4, 1:8, 5:6], np.s_[:, :, :], np.s_[0:1, 7:8, 8:9], np.s_[0:0, 0:0, 0:0]]
)
def test_box_and_planes(box):
    fraction = np.zeros(SHAPE, np.float32)
    fraction[box] = np.random.default_rng(1).uniform(0.1, 1.0, fraction[box].shape)
    volume = Volume.of(SubVoxels.of_fraction(fraction, Grid(SHAPE, (0.1, 0.2, 0.3), (0, 0, 0))))
    assert volume.box == tuple(slice(*part.indices(n)[:2]) for part, n in zip(box, SHAPE, strict=True))
    assert np.array_equal(volume.whole, fraction) and volume.whole.dtype == fraction.dtype
    assert np.array_equal(volume.of_values(fraction), volume.inner)
    for axis in range(3):
        for index in range(SHAPE[axis]):
            assert np.array_equal(volume.plane(index, axis), fraction.take(index, axis))
