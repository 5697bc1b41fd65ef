"""Dose: the result of a run, on a grid, with both its uncertainties and its provenance; kept as HDF5.

docs/formats.md describes the file. A dose has two sigmas: *transport*, what more transport of the same
phase space would still change, and *latent*, what the finite number of original histories of the phase
space leaves however often it is reused. Both are of single voxels; what is read from many takes their
covariance (`mc.covariance`). The dose is to the medium; the dose to water of the same run may lie
beside it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.ndimage import map_coordinates

from mc.covariance import Covariance
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.grid import Grid
from phantoms.hdf5 import group_of, holds, read_array, read_text
from phantoms.listing import Listing
from phantoms.views import Artists, Axes, plot_volume

FORMAT = "mcverify dose"
FORMAT_VERSION = 2
READABLE = (1, FORMAT_VERSION)  # 1: the same, without dose to water
TO_MEDIUM, TO_WATER = "dose to medium", "dose to water"  # how provenance and files name them
DEVIATIONS = "deviations"  # of an HDF5 file: the maps of the covariance
GROUP = "to_water"  # of an HDF5 file: the dose to water, laid out as the dose to medium at the root
PHASE_TOLERANCE = 1e-3  # by which voxel centres of aligned grids may differ [cm]


@dataclass(frozen=True, eq=False)
class Dose:
    """Dose on a grid; immutable.

    Parameters
    ----------
    grid : Grid
    mean : (nz, ny, nx) float64
        Dose [Gy].
    sigma : (nz, ny, nx) float64
        One sigma of the transport [Gy].
    latent : (nz, ny, nx) float64, or one number for all voxels
        One sigma that the phase space's finite number of histories leaves [Gy], an estimate; NaN where it is
        unknown.
    provenance : dict
        Whatever is needed to make the dose again (version, configuration, seed, histories, hashes) and
        what was done to it since; must survive JSON. "latent_uncertainty" is the rms relative latent sigma
        above half the maximum, found before the map was cut at 0 voxel by voxel, which lifts it.
    to_water : Dose, optional
        Dose to water of the same run, on the same grid.
    covariance : Covariance, optional
        Of the noise of all voxels, transport and latent together, on a grid of its own; None where it is
        unknown.
    """

    grid: Grid
    mean: np.ndarray
    sigma: np.ndarray
    latent: np.ndarray
    provenance: dict[str, Any] = field(default_factory=dict)
    to_water: Dose | None = None
    covariance: Covariance | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.to_water is not None and self.to_water.grid != self.grid:
            raise ValueError("dose to medium and to water must be on one grid")
        latent = np.asarray(self.latent, dtype=np.float64)
        if latent.ndim == 0:
            object.__setattr__(self, "latent", np.full(self.grid.shape, latent))
        for name in ("mean", "sigma", "latent"):
            values = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if values.shape != self.grid.shape:
                raise ValueError(f"{name} has shape {values.shape}, the grid {self.grid.shape}")
            if np.isinf(values).any() or (name != "latent" and np.isnan(values).any()):
                raise ValueError(f"{name} holds values that are not finite")
            if name != "mean" and (values < 0).any():
                raise ValueError(f"{name} is negative somewhere")
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def relative_uncertainty(self, above: float = 0.5) -> float:
        """Rms of sigma / mean over voxels above `above` times the maximum; infinite without any dose."""
        maximum = self.mean.max()
        if not maximum > 0:
            return float("inf")
        high = self.mean > above * maximum
        return float(np.sqrt(np.mean((self.sigma[high] / self.mean[high]) ** 2)))

    def plot(self, axes: Axes, view: str = "axial", at_mm: float | None = None) -> Artists:
        """Draw one plane of voxels [Gy].

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        view : {'axial', 'coronal', 'sagittal'}
        at_mm : float, optional
            Where the plane lies along its normal; by default it goes through the maximum.

        Returns
        -------
        tuple of artists
            The image, for a colour bar.

        Raises
        ------
        InputError
            If there is no such view.
        """
        return plot_volume(axes, self.mean, self.grid, view, at_mm, label="dose [Gy]")

    def facts(self) -> list[tuple[str, object]]:
        """What the dose is, for the reader."""
        # of the run itself: the map is cut at 0 voxel by voxel, and its rms would be too large
        stated = dict(self.provenance)
        latent = stated.pop("latent_uncertainty", None)
        return [
            ("maximum", f"{self.mean.max():.4g} Gy"),
            ("transport sigma", f"{100 * self.relative_uncertainty():.2f} % (rms above half the maximum)"),
            ("latent sigma", "unknown" if latent is None else f"{100 * latent:.2f} %"),
            ("dose to water", "as well" if self.to_water is not None else "not scored"),
            *((key, value) for key, value in stated.items() if isinstance(value, str | int | float)),
        ]

    def _repr_html_(self) -> str:
        voxels = " x ".join(str(n) for n in self.grid.shape[::-1])
        return Listing.facts("Dose", [("voxels (x, y, z)", voxels), *self.facts()])._repr_html_()

    def crop_to(self, grid: Grid) -> Dose:
        """This dose on another grid, zero outside its own.

        Where the voxels of both grids coincide they are copied. Otherwise mean and sigma are interpolated
        linearly between voxel centres, held constant over the outer half voxel, and provenance says so
        ("resampled"). Linear interpolation of sigma treats the noise of neighbours as fully correlated, so
        it states too much rather than too little. "voxels_without_dose" counts those outside.
        """
        if self.grid.matches(grid):
            return self
        inside = _inside(self.grid, grid)
        provenance = {**self.provenance, "voxels_without_dose": int(np.count_nonzero(~inside))}
        transfer = _copied if _aligned(self.grid, grid) else _interpolated
        if transfer is _interpolated:
            provenance["resampled"] = {
                "method": "trilinear",
                "from_shape": list(self.grid.shape),
                "from_spacing_cm": list(self.grid.spacing),
                "from_origin_cm": list(self.grid.origin),
            }
        arrays = [transfer(values, self.grid, grid) for values in (self.mean, self.sigma, self.latent)]
        for values in arrays:
            values[~inside] = 0.0
        to_water = self.to_water and self.to_water.crop_to(grid)
        return Dose(grid, *arrays, provenance, to_water, self.covariance)

    def save(self, path: str | Path) -> None:
        """Write the dose as HDF5, whole or not at all; a file already there stays until then."""
        # built in memory and written by Python, since the HDF5 library fails badly on a full disk
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            self._fill(file)
        with replacing(path, "cannot write the dose") as partial:
            partial.write_bytes(image.getbuffer())

    @classmethod
    def load(cls, path: str | Path) -> Dose:
        """Read a dose written by `Dose.save`."""
        path = Path(path)
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(path, "an HDF5 file, but not a dose of mcverify")
                version = int(file.attrs["format_version"])
                if version not in READABLE:
                    raise InputError(
                        path,
                        f"dose format {version}, this mcverify reads {' and '.join(map(str, READABLE))}",
                        "use the one that wrote it",
                    )
                to_water = None
                if holds(file, GROUP):
                    group = group_of(file, GROUP)
                    to_water = cls(*_read(group, file.attrs), covariance=_read_covariance(group))
                return cls(*_read(file, file.attrs), to_water, _read_covariance(file))
        except FileNotFoundError:
            raise InputError(path, "no such file") from None
        except KeyError as error:
            raise InputError(path, f"an entry is missing: {error.args[0]}", "file damaged?") from None
        except (OSError, ValueError, TypeError, RuntimeError, ArithmeticError, AttributeError) as error:
            raise InputError(path, f"not a dose file that can be read: {error}", "file damaged?") from None

    def _fill(self, file: h5py.File) -> None:
        file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
        file.attrs["axes"] = "z y x"
        file.attrs["coordinates"] = "DICOM patient (x left, y posterior, z superior)"
        file.attrs["spacing_cm"], file.attrs["origin_cm"] = self.grid.spacing, self.grid.origin
        self._fill_group(file)
        if self.to_water is not None:
            self.to_water._fill_group(file.create_group(GROUP))

    def _fill_group(self, file: h5py.Group) -> None:
        file["provenance"] = json.dumps(self.provenance)  # a dataset: attributes end at 64 kB
        for key, value in self.provenance.items():
            if isinstance(value, str | int | float):
                file["provenance"].attrs[key] = str(value)  # at a glance in any HDF5 browser
        for name, dtype in (("mean", "f8"), ("sigma", "f4"), ("latent", "f4")):
            dataset = file.create_dataset(
                name, data=getattr(self, name), dtype=dtype, compression="gzip", shuffle=True
            )
            dataset.attrs["units"] = "Gy"
        file["mean"].attrs["quantity"] = "dose"
        file["sigma"].attrs["quantity"] = "one sigma of the transport"
        file["latent"].attrs["quantity"] = "one sigma of the phase space's finite histories, NaN unknown"
        if self.covariance is not None:
            _write_covariance(file, self.covariance)


def stated_provenance(path: str | Path) -> dict[str, Any]:
    """The provenance of a dose file, without its arrays.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with h5py.File(path, "r") as file:
            return json.loads(read_text(file, "provenance"))
    except (KeyError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(path, f"not a dose file that can be read: {error}", "file damaged?") from None


def _read(group: h5py.Group, attributes: Mapping) -> tuple[Grid, np.ndarray, np.ndarray, np.ndarray, dict]:
    """Grid, mean, sigma, latent and provenance of a group; the grid is that of the file's attributes."""
    mean, sigma, latent = (read_array(group, name) for name in ("mean", "sigma", "latent"))
    if mean.ndim != 3:
        raise ValueError(f"mean has {mean.ndim} dimensions")
    grid = Grid(mean.shape, tuple(attributes["spacing_cm"]), tuple(attributes["origin_cm"]))
    return grid, mean, sigma, latent, json.loads(read_text(group, "provenance"))


def _write_covariance(group: h5py.Group, held: Covariance) -> None:
    """Write the maps of a covariance in half precision: a sigma needs no more."""
    scale = float(np.abs(held.deviations).max()) or 1.0
    dataset = group.create_dataset(
        DEVIATIONS,
        held.deviations.shape,
        "f2",
        chunks=(1, *held.grid.shape),
        compression="gzip",
        shuffle=True,
    )
    for index, values in enumerate(held.deviations):  # one by one: no copy of all in memory
        dataset[index] = values / scale
    dataset.attrs["scale_gy"], dataset.attrs["block"] = scale, held.block
    dataset.attrs["freedom"], dataset.attrs["common"] = held.freedom, held.common
    dataset.attrs["spacing_cm"], dataset.attrs["origin_cm"] = held.grid.spacing, held.grid.origin
    dataset.attrs["quantity"] = "deviation of each subset of the histories; products sum to a covariance"


def _read_covariance(group: h5py.Group) -> Covariance | None:
    if not holds(group, DEVIATIONS):
        return None  # of an older file
    values = read_array(group, DEVIATIONS).astype(np.float32)
    stated = group[DEVIATIONS].attrs
    values *= np.float32(stated["scale_gy"])
    if values.ndim != 4 or not np.isfinite(values).all():
        raise ValueError(f"{DEVIATIONS} are not maps of numbers")
    grid = Grid(values.shape[1:], tuple(stated["spacing_cm"]), tuple(stated["origin_cm"]))
    return Covariance(grid, int(stated["block"]), values, float(stated["freedom"]), float(stated["common"]))


def _aligned(a: Grid, b: Grid) -> bool:
    """Whether voxels of `b`, wherever both grids reach, are voxels of `a`."""
    steps = max(max(a.shape), max(b.shape))
    if np.abs(np.subtract(a.spacing, b.spacing)).max() * steps > PHASE_TOLERANCE:
        return False
    offset = a.index(np.array(b.origin))
    return bool((np.abs(offset - np.round(offset)) * np.array(a.spacing) < PHASE_TOLERANCE).all())


def _inside(source: Grid, target: Grid) -> np.ndarray:
    """Which voxel centres of `target` lie in `source`, (nz, ny, nx) bool."""
    inside = np.ones(target.shape, dtype=bool)
    for axis in range(3):
        centres = target.centres(axis)
        within = (centres > source.lower[axis] - PHASE_TOLERANCE) & (
            centres < source.upper[axis] + PHASE_TOLERANCE
        )
        inside &= np.expand_dims(within, tuple(a for a in range(3) if a != axis))
    return inside


def _copied(values: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """`values` on a grid of the same voxels, 0 outside."""
    offset = np.round(source.index(np.array(target.origin))).astype(int)
    result = np.zeros(target.shape)
    to, of = [], []
    for first, n_source, n_target in zip(offset, source.shape, target.shape, strict=True):
        start, stop = max(0, -first), min(n_target, n_source - first)
        if start >= stop:
            return result
        to.append(slice(start, stop))
        of.append(slice(start + first, stop + first))
    result[tuple(to)] = values[tuple(of)]
    return result


def _interpolated(values: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """`values` interpolated linearly at the voxel centres of `target`, the outermost held outwards."""
    z, y, x = [(target.centres(a) - source.origin[a]) / source.spacing[a] for a in range(3)]
    result = np.empty(target.shape)
    for layer, at in zip(result, z, strict=True):  # one by one: coordinates take three times the result
        points = np.meshgrid(at, y, x, indexing="ij")
        map_coordinates(values, points, layer[None], order=1, mode="nearest")
    return result
