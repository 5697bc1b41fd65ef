"""Dose: saved and loaded unchanged, put on other grids, refused when damaged."""

import h5py
import numpy as np
import pytest

from mc.dose import Dose
from phantoms.errors import InputError
from phantoms.grid import Grid

GRID = Grid((4, 5, 6), (0.3, 0.2, 0.1), (-1.0, 2.0, 3.0))


def some_dose(grid=GRID, latent=0.01):
    rng = np.random.default_rng(5)
    sigma = rng.random(grid.shape).astype(np.float32).astype(float)
    return Dose(
        grid, rng.random(grid.shape), sigma, latent, {"version": "1", "seed": 2**64 - 1, "a": [1, {"b": 2.5}]}
    )


def linear_dose(grid):
    """A dose that is linear in space, which linear interpolation must reproduce."""
    z, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    mean = 20 + 1.5 * z - 2 * y + 3 * x
    return Dose(grid, mean, 0.1 * mean, 0.2 * mean)


def test_round_trip(tmp_path):
    dose = some_dose()
    dose.save(tmp_path / "dose.h5")
    loaded = Dose.load(tmp_path / "dose.h5")
    assert loaded.grid == dose.grid and loaded.provenance == dose.provenance
    np.testing.assert_array_equal(loaded.mean, dose.mean)
    np.testing.assert_array_equal(loaded.sigma, dose.sigma)
    np.testing.assert_array_equal(loaded.latent, np.float32(dose.latent))
    assert [p.name for p in tmp_path.iterdir()] == ["dose.h5"]


def test_long_provenance_and_unknown_latent(tmp_path):
    dose = Dose(GRID, np.ones(GRID.shape), np.zeros(GRID.shape), np.nan, {"log": "x" * 200_000})
    dose.save(tmp_path / "dose.h5")
    loaded = Dose.load(tmp_path / "dose.h5")
    assert len(loaded.provenance["log"]) == 200_000
    assert np.isnan(loaded.latent).all()


def test_relative_uncertainty_counts_high_dose_only():
    mean, sigma = np.zeros(GRID.shape), np.full(GRID.shape, 0.5)
    mean[0, 0, :3] = 10, 8, 4
    sigma[0, 0, :3] = 0.1, 0.16, 4
    dose = Dose(GRID, mean, sigma, 2 * sigma)
    assert dose.relative_uncertainty() == pytest.approx(np.sqrt((0.01**2 + 0.02**2) / 2))
    assert dose.relative_uncertainty(above=0.9) == pytest.approx(0.01)
    assert some_dose().crop_to(Grid((1, 1, 1), GRID.spacing, (50.0, 2, 3))).relative_uncertainty() == np.inf


def test_crop_to_part_of_the_grid():
    dose = some_dose()
    part = Grid((2, 3, 2), GRID.spacing, (-0.7, 2.2, 3.3))
    cropped = dose.crop_to(part)
    for name in ("mean", "sigma", "latent"):
        np.testing.assert_array_equal(getattr(cropped, name), getattr(dose, name)[1:3, 1:4, 3:5])
    assert cropped.grid == part and cropped.provenance["voxels_without_dose"] == 0
    assert "resampled" not in cropped.provenance


def test_crop_to_more_than_the_grid():
    dose = some_dose()
    more = Grid((6, 7, 9), GRID.spacing, (-1.3, 1.8, 2.8))
    cropped = dose.crop_to(more)
    np.testing.assert_array_equal(cropped.mean[1:5, 1:6, 2:8], dose.mean)
    assert cropped.mean.sum() == pytest.approx(dose.mean.sum())
    assert cropped.provenance["voxels_without_dose"] == 6 * 7 * 9 - 4 * 5 * 6
    back = cropped.crop_to(GRID)
    np.testing.assert_array_equal(back.mean, dose.mean)


def test_crop_to_elsewhere_is_zero():
    far = Grid((2, 2, 2), GRID.spacing, (8.0, 2.0, 3.0))
    assert not some_dose().crop_to(far).mean.any()


@pytest.mark.parametrize(
    "target",
    [
        Grid((2, 3, 4), GRID.spacing, (-0.9, 2.05, 3.02)),  # shifted by part of a voxel
        Grid((2, 4, 5), (0.25, 0.15, 0.08), (-0.9, 2.05, 3.02)),  # other voxels
    ],
)
def test_resampling_is_linear_and_flagged(target):
    dose, expected = linear_dose(GRID).crop_to(target), linear_dose(target)
    for name in ("mean", "sigma", "latent"):
        np.testing.assert_allclose(getattr(dose, name), getattr(expected, name), rtol=1e-12)
    assert dose.provenance["resampled"]["from_spacing_cm"] == [0.3, 0.2, 0.1]


def test_resampling_ends_at_the_outer_face():
    dose = Dose(GRID, np.full(GRID.shape, 7.0), np.zeros(GRID.shape), 0.0)
    x_face = 3.0 + 5.5 * 0.1
    target = Grid((1, 1, 2), (0.3, 0.2, 0.08), (-0.95, 2.0, x_face - 0.04))
    np.testing.assert_allclose(dose.crop_to(target).mean, [[[7.0, 0.0]]])


def test_spacing_that_drifts_is_not_aligned():
    """3 um a voxel looks the same at first but is off by more than 10 um at the far end."""
    target = Grid((4, 5, 6), (0.3, 0.2, 0.1003), GRID.origin)
    assert "resampled" in some_dose().crop_to(target).provenance


def test_arrays_are_immutable_and_checked():
    dose = some_dose()
    with pytest.raises(ValueError, match="read-only"):
        dose.mean[0] = 1
    good = np.ones(GRID.shape)
    for mean, sigma, latent in [
        (good[1:], good, 0.0),
        (good * np.nan, good, 0.0),
        (good, -good, 0.0),
        (good, good * np.inf, 0.0),
        (good, good, -1.0),
    ]:
        with pytest.raises(ValueError, match=r"mean|sigma|latent"):
            Dose(GRID, mean, sigma, latent)


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.h5").mkdir()
    for place in (tmp_path / "nowhere" / "d.h5", tmp_path / "file" / "d.h5", tmp_path / "folder.h5"):
        with pytest.raises(InputError, match=r"cannot write the dose.*nothing was written"):
            some_dose().save(place)
    assert {p.name for p in tmp_path.iterdir()} == {"file", "folder.h5"}


def test_full_disk_keeps_the_earlier_file(tmp_path, full_disk):
    path = tmp_path / "dose.h5"
    earlier = some_dose()
    earlier.save(path)
    with full_disk(2000), pytest.raises(InputError, match="the file that was there is unchanged"):
        some_dose(latent=5.0).save(path)
    np.testing.assert_array_equal(Dose.load(path).latent, np.float32(earlier.latent))
    assert [p.name for p in tmp_path.iterdir()] == ["dose.h5"]


def damage_version(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99


def damage_format(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "something else"


def damage_dataset(path):
    with h5py.File(path, "r+") as file:
        del file["sigma"]


def damage_shape(path):
    with h5py.File(path, "r+") as file:
        del file["sigma"]
        file["sigma"] = np.zeros((2, 2, 2))


def damage_dimension(path):
    with h5py.File(path, "r+") as file:
        del file["mean"]
        file["mean"] = np.zeros((2, 2))


def damage_nan(path):
    with h5py.File(path, "r+") as file:
        file["mean"][0, 0, 0] = np.nan


def damage_spacing(path):
    with h5py.File(path, "r+") as file:
        file.attrs["spacing_cm"] = [0.1, -0.1, 0.1]


def damage_provenance(path):
    with h5py.File(path, "r+") as file:
        del file["provenance"]
        file["provenance"] = "{not json"


def damage_group(path):
    with h5py.File(path, "r+") as file:
        del file["mean"]
        file.create_group("mean")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b"hello"), "cannot|not a dose file"),
        (lambda path: path.write_bytes(b""), "not a dose file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "not a dose file"),
        (damage_format, "not a dose of mcverify"),
        (damage_version, "dose format 99"),
        (damage_dataset, "an entry is missing"),
        (damage_shape, "sigma has shape"),
        (damage_dimension, "mean has 2 dimensions"),
        (damage_nan, "mean holds values that are not finite"),
        (damage_spacing, "empty grid"),
        (damage_provenance, "not a dose file"),
        (damage_group, "not a dose file"),
    ],
)
def test_refuses_damaged_files(tmp_path, damage, message):
    path = tmp_path / "dose.h5"
    some_dose().save(path)
    damage(path)
    with pytest.raises(InputError, match=message):
        Dose.load(path)


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "dose.h5"
    some_dose().save(path)
    with h5py.File(path) as file:
        chunk = file["mean"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a dose file that can be read"):
        Dose.load(path)
