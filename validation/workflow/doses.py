"""Doses of any origin, an RTDOSE or a dose of mcverify, and gamma between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mc.dose import Dose
from phantoms.errors import InputError
from phantoms.files import is_hdf5
from phantoms.grid import Grid
from phantoms.listing import Listing
from phantoms.polygons import mask_by_centre
from phantoms.structures import StructureSet
from phantoms.views import Artists, Axes, plot_volume
from validation.metrics.gamma import Criterion, GammaMap, gamma
from validation.metrics.noise import Noise
from validation.rtdose import read_rtdose
from validation.workflow import output
from validation.workflow.kernels import load_gamma


@dataclass(frozen=True, eq=False)
class GivenDose:
    """A dose that was read.

    Parameters
    ----------
    path : Path
    grid : Grid
    dose : (nz, ny, nx) float64
        [Gy]
    of : str
        What it is the dose of, as far as the file states it.
    frame_of_reference_uid : str
    noise : Noise or None
        Transport, latent and calibration sigma together, where the file states them.
    """

    path: Path
    grid: Grid
    dose: np.ndarray = field(repr=False)
    of: str
    frame_of_reference_uid: str = ""
    noise: Noise | None = field(default=None, repr=False)

    @classmethod
    def of_run(cls, dose: Dose, path: Path) -> GivenDose:
        """A Monte Carlo dose, which lies or will lie in the file of this path."""
        noise = Noise.of(dose)
        return cls(path, dose.grid, dose.mean, dose.provenance.get("quantity", "mcverify dose"), noise=noise)

    @property
    def dose_gy(self) -> np.ndarray:
        """The dose, (nz, ny, nx) float64 [Gy]."""
        return self.dose

    @property
    def axes_mm(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel centres along z, y and x, in DICOM patient coordinates [mm]."""
        return self.grid.axes_mm

    def plot(self, axes: Axes, view: str = "axial", at_mm: float | None = None) -> Artists:
        """Draw one plane of voxels [Gy]; see `mc.dose.Dose.plot`."""
        return plot_volume(axes, self.dose, self.grid, view, at_mm, label="dose [Gy]")

    def _repr_html_(self) -> str:
        facts = [
            ("dose of", self.of),
            ("voxels (x, y, z)", " x ".join(str(n) for n in self.grid.shape[::-1])),
            ("voxel size", " x ".join(f"{d:.4g}" for d in self.grid.spacing_mm[::-1]) + " mm"),
            ("maximum", f"{self.dose.max():.4g} Gy"),
        ]
        return Listing.facts(self.path.name, facts)._repr_html_()


def read_dose(path: str | PathLike, dose_to: str = "medium", planar: bool = False) -> GivenDose:
    """Read an RTDOSE or a dose.h5, or that of a result folder.

    Parameters
    ----------
    path : path
    dose_to : {'medium', 'water'}
        Which dose of a dose.h5 that holds both.
    planar : bool
        Whether an RTDOSE of one frame need not state its thickness.

    Returns
    -------
    GivenDose
        `dose_gy`, (nz, ny, nx) float64 [Gy], at `axes_mm`.

    Raises
    ------
    InputError
        If there is no such dose, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        path = _dose_of_folder(path)
    if is_hdf5(path):
        dose = Dose.load(path)
        if dose_to == "water":
            if dose.to_water is None:
                raise InputError(path, "holds no dose to water", "`mcverify plan --dose-to both` makes one")
            dose = dose.to_water
        return GivenDose.of_run(dose, path)
    rtdose = read_rtdose(path, planar)
    of = f"{rtdose.summation} dose"
    return GivenDose(path, rtdose.grid, rtdose.dose, of, rtdose.frame_of_reference_uid)


def _dose_of_folder(folder: Path) -> Path:
    names = (output.DOSE, output.RTDOSE)
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        problem = f"holds neither {names[0]} nor {names[1]}"
        raise InputError(folder, problem, "name a result folder or an RTDOSE")
    return found


@dataclass(frozen=True, eq=False)
class DoseGamma:
    """Gamma between two doses that were read.

    Parameters
    ----------
    reference, evaluated : GivenDose
    map : GammaMap
    structure : str or None
        Within which gamma was evaluated.
    warnings : tuple of str
        What makes the comparison doubtful.
    """

    reference: GivenDose
    evaluated: GivenDose
    map: GammaMap
    structure: str | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the map, ready for strict JSON."""
        found, values = self.map, self.map.values()
        counts, edges = found.histogram()
        return {
            "schema": "mcverify gamma",
            "reference": str(self.reference.path),
            "evaluated": str(self.evaluated.path),
            "reference_is": self.reference.of,
            "evaluated_is": self.evaluated.of,
            "criterion": str(found.criterion),
            "normalisation_gy": found.normalisation,
            "structure": self.structure,
            "passing_percent": found.passing_rate(),
            "voxels": found.count(),
            "voxels_passed": int(np.count_nonzero(values <= 1.0)),
            "voxels_outside_evaluated": found.uncovered,
            "mean_gamma": float(values.mean()),
            "max_gamma": float(values.max()),
            "gamma_capped_at": found.max_gamma,
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        }

    def facts(self) -> list[tuple[str, str]]:
        """What was compared and found."""
        criterion, *found = self.map.facts()
        return [
            ("reference", f"{self.reference.path} ({self.reference.of})"),
            ("evaluated", f"{self.evaluated.path} ({self.evaluated.of})"),
            criterion,
            ("region", self.structure or "the whole reference grid"),
            *found,
        ]


def gamma_of_doses(
    reference: GivenDose,
    evaluated: GivenDose,
    criterion: Criterion,
    structures: StructureSet | None = None,
    structure: str | None = None,
) -> DoseGamma:
    """Gamma of two doses, within a structure if one is named.

    Raises
    ------
    InputError
        If the doses or the structure do not fit together, or no voxel lies above the threshold.
    """
    mask = None if structures is None else _mask(structures, structure, reference)
    load_gamma()
    found = gamma(reference.dose, reference.grid, evaluated.dose, evaluated.grid, criterion, mask)
    if found.count() == 0:
        where = f" within {structure}" if structure else ""
        raise InputError(
            reference.path, f"has no voxel above {criterion.threshold_percent:g} % of its maximum{where}"
        )
    warnings = _differences(reference, evaluated)
    if found.uncovered:
        part = f"{found.uncovered} of {found.count()} voxels"
        warnings = (*warnings, f"{part} lie outside the evaluated dose")
    return DoseGamma(reference, evaluated, found, structure, warnings)


def _differences(reference: GivenDose, evaluated: GivenDose) -> tuple[str, ...]:
    """What makes two doses doubtful to compare."""
    warnings = []
    frames = {dose.frame_of_reference_uid for dose in (reference, evaluated)} - {""}
    if len(frames) > 1:
        warnings.append("the doses have different frames of reference; they are compared as if it were one")
    if "FRACTION dose" in (reference.of, evaluated.of) and reference.of != evaluated.of:
        warnings.append(f"the reference is a {reference.of}, the other a {evaluated.of}; neither is scaled")
    return tuple(warnings)


def _mask(structures: StructureSet, name: str, reference: GivenDose) -> np.ndarray:
    """Voxels of the reference with their centre in a structure."""
    frame = structures.frame_of_reference_uid
    if frame and reference.frame_of_reference_uid and frame != reference.frame_of_reference_uid:
        raise InputError(structures.source, f"has another frame of reference than {reference.path.name}")
    mask = mask_by_centre(structures[name], reference.grid)
    if not mask.any():
        raise InputError(f"{structures.source}, structure {name}", f"holds no voxel of {reference.path.name}")
    return mask
