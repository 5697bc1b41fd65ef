"""Doses of any origin, an RTDOSE or a dose of mcverify, and gamma between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mc.dose import Dose
from mc.plan.plan import Plan
from phantoms.belonging import Part, check_belonging
from phantoms.dicom import looks_like_dicom, optional_text, read_dataset
from phantoms.errors import InputError
from phantoms.files import is_hdf5
from phantoms.grid import Grid
from phantoms.listing import Listing
from phantoms.plausible import RATIO
from phantoms.polygons import mask_by_centre
from phantoms.structures import StructureSet
from phantoms.views import Artists, Axes, plot_volume
from validation.metrics.gamma import Criterion, GammaMap, gamma, thick
from validation.metrics.noise import Noise
from validation.rtdose import PlannedDose, join_planes, read_rtdose, refuse_implausible
from validation.workflow import output
from validation.workflow.kernels import load_gamma

SAME_PLANE_MM = 0.5
ONE_CASE = "are they of one case? --unrelated uses them all the same"


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
    frame_of_reference_uid, patient_id, plan_uid, structure_set_uid : str
        Empty where the file does not state them.
    status : tuple of str
        What the file states of it that a physicist must know.
    noise : Noise or None
        Transport, latent and calibration sigma together, where the file states them.
    """

    path: Path
    grid: Grid
    dose: np.ndarray = field(repr=False)
    of: str
    frame_of_reference_uid: str = ""
    patient_id: str = ""
    plan_uid: str = ""
    structure_set_uid: str = ""
    status: tuple[str, ...] = ()
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
        Whether a single plane will do.

    Returns
    -------
    GivenDose
        `dose_gy`, (nz, ny, nx) float64 [Gy], at `axes_mm`.

    Raises
    ------
    InputError
        If there is no such dose, it cannot be read, or no treatment has it.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = _doses_of_folder(path)
    if is_hdf5(files[0]):
        dose = Dose.load(files[0])
        if dose_to == "water":
            if dose.to_water is None:
                raise InputError(
                    files[0], "holds no dose to water", "`mcverify plan --dose-to both` makes one"
                )
            dose = dose.to_water
        refuse_implausible(files[0], dose.mean)
        return GivenDose.of_run(dose, files[0])
    rtdose = read_rtdose(files[0]) if len(files) == 1 else _joined(path, files)
    refuse_implausible(rtdose.path, rtdose.dose)
    if rtdose.is_plane and not planar:
        raise InputError(
            rtdose.path,
            "is a single plane of a dose, which has no volume",
            "export the dose as a volume, or name the folder of all its planes",
        )
    return GivenDose(
        rtdose.path,
        rtdose.grid,
        rtdose.dose,
        f"{rtdose.summation} dose",
        rtdose.frame_of_reference_uid,
        rtdose.patient_id,
        rtdose.plan_uid,
        rtdose.structure_set_uid,
        rtdose.status,
    )


def _doses_of_folder(folder: Path) -> list[Path]:
    """The dose of a result folder, or else all RTDOSE of a folder."""
    names = (output.DOSE, output.RTDOSE)
    found = [folder / name for name in names if (folder / name).is_file()][:1]
    found = found or [path for path in sorted(folder.iterdir()) if _is_rtdose(path)]
    if not found:
        raise InputError(
            folder, f"holds neither {names[0]} nor an RTDOSE", "name a result folder or an RTDOSE"
        )
    return found


def _is_rtdose(path: Path) -> bool:
    if not (path.is_file() and looks_like_dicom(path)):
        return False
    return optional_text(read_dataset(path, header_only=True), "Modality", path) == "RTDOSE"


def _joined(folder: Path, files: Sequence[Path]) -> PlannedDose:
    """The planes of one dose, put together."""
    doses = join_planes([read_rtdose(path) for path in files])
    if len(doses) > 1:
        names = ", ".join(path.name for path in files[:5])
        raise InputError(folder, f"holds several doses: {names}", "name one of them")
    return doses[0]


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
    unrelated: bool = False,
) -> DoseGamma:
    """Gamma of two doses, within a structure if one is named.

    Parameters
    ----------
    reference, evaluated : GivenDose
    criterion : Criterion
    structures : StructureSet, optional
    structure : str, optional
    unrelated : bool
        Whether to compare doses that state different patients or frames of reference.

    Raises
    ------
    InputError
        If the doses or the structure do not fit together, or no voxel lies above the threshold.
    """
    warnings = caveats((reference, evaluated), structures, unrelated)
    highest = [max(float(dose.dose.max()), 1e-300) for dose in (reference, evaluated)]
    RATIO.check(highest[1] / highest[0], evaluated.path, "its maximum", "are both in Gy?")
    mask = None if structures is None else _mask(structures, structure, reference)
    load_gamma()
    found = gamma(reference.dose, reference.grid, *_searched(reference, evaluated), criterion, mask)
    if found.count() == 0:
        where = f" within {structure}" if structure else ""
        raise InputError(
            reference.path, f"has no voxel above {criterion.threshold_percent:g} % of its maximum{where}"
        )
    if "FRACTION dose" in (reference.of, evaluated.of) and reference.of != evaluated.of:
        warnings.append(f"the reference is a {reference.of}, the other a {evaluated.of}; neither is scaled")
    if found.uncovered:
        warnings.append(f"{found.uncovered} of {found.count()} voxels lie outside the evaluated dose")
    return DoseGamma(reference, evaluated, found, structure, tuple(warnings))


def _searched(reference: GivenDose, evaluated: GivenDose) -> tuple[np.ndarray, Grid]:
    """The evaluated dose and its grid; a plane, for a reference in the same plane, without an end."""
    flat = [axis for axis, count in enumerate(evaluated.grid.shape) if count == 1]
    for axis in flat:
        if reference.grid.shape[axis] > 1:
            raise InputError(
                evaluated.path,
                f"is a single plane, {reference.path.name} is not",
                "name the plane first: a reference in one plane is looked for in a volume",
            )
        apart = 10 * abs(evaluated.grid.origin[axis] - reference.grid.origin[axis])
        if apart > SAME_PLANE_MM:
            raise InputError(
                evaluated.path,
                f"is a plane {apart:.1f} mm from that of {reference.path.name}",
                "give two doses in one plane",
            )
    grid, dose = thick(evaluated.grid, evaluated.dose, flat)
    return dose, grid


def caveats(
    doses: Sequence[GivenDose],
    structures: StructureSet | None = None,
    unrelated: bool = False,
    plan: Plan | None = None,
) -> list[str]:
    """What makes doses, structures and plan doubtful to use together.

    Raises
    ------
    InputError
        If they state different patients or frames of reference, and are not said to be `unrelated`.
    """
    parts = [
        Part(dose.path, dose.patient_id, dose.frame_of_reference_uid)
        for dose in doses
        if dose.frame_of_reference_uid  # a dose.h5 names no patient
    ]
    if structures is not None:
        parts.append(Part(structures.source, structures.patient_id, structures.frame_of_reference_uid))
    if plan is not None and parts:
        frame = plan.frame_of_reference_uid or parts[0].frame_of_reference_uid
        parts.append(Part("the plan", plan.patient_id, frame))
    warnings = check_belonging(parts, unrelated, ONE_CASE) if len(parts) > 1 else []
    for dose in doses:
        warnings += dose.status
        drawn = "" if structures is None else structures.sop_uid
        if dose.structure_set_uid and drawn and dose.structure_set_uid != drawn:
            warnings.append(
                f"{dose.path.name} was computed with another structure set than that of "
                f"{Path(structures.source).name}"
            )
        if plan is not None and dose.plan_uid and dose.plan_uid != plan.uid:
            warnings.append(f"{dose.path.name} is the dose of another plan than the one given")
    return warnings


def _mask(structures: StructureSet, name: str, reference: GivenDose) -> np.ndarray:
    """Voxels of the reference with their centre in a structure."""
    mask = mask_by_centre(structures[name], reference.grid)
    if not mask.any():
        raise InputError(f"{structures.source}, structure {name}", f"holds no voxel of {reference.path.name}")
    return mask
