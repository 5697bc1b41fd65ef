"""A case as it was read: the export of one plan, ready to be computed and compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np

from mc.plan.plan import Plan
from mc.plan.rtplan import read_plan
from phantoms.assemble import patient_extent
from phantoms.case import Case, find_case
from phantoms.ct import CT, frame_of_reference, read_ct
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import load_calibration
from phantoms.identity import Identity, read_identity
from phantoms.listing import Listing
from phantoms.overrides import CaseFile, load_case_file
from phantoms.polygons import mask_by_centre
from phantoms.structures import StructureSet, read_structures
from phantoms.views import Artists, Axes, centres_mm, cut, draw_plane, extent_mm, view_of
from validation.plan_check.geometry import check_geometry
from validation.plan_check.prescription import prescription_of
from validation.rtdose import (
    PlannedDose,
    course_dose,
    join_planes,
    read_rtdose,
    refuse_implausible,
    sum_beam_doses,
)

CT_WINDOW_HU = (-200.0, 450.0)  # black and white
VOXEL_CM = 0.25  # of a dose that has none of the planning system to be like
ISODOSES = (0.2, 0.5, 0.8, 0.95)  # of the maximum


@dataclass(frozen=True, eq=False)
class PlanCase:
    """The export of one plan.

    Parameters
    ----------
    files : Case
        Which files it consists of, which were left out, and why.
    identity : Identity
        Of the patient; reports show a pseudonym.
    case_file : CaseFile
        CT calibration, overrides and body outline.
    plan : Plan
    ct : CT
    structures : StructureSet
    planned_dose : PlannedDose or None
        The planning system's dose of the whole course; None where it was not exported.
    doubts : tuple of str
        What the parts say of themselves, and where they contradict each other.
    """

    files: Case
    identity: Identity = field(repr=False)
    case_file: CaseFile
    plan: Plan
    ct: CT
    structures: StructureSet
    planned_dose: PlannedDose | None
    doubts: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a physicist must know of the export, beside what reading the plan and computing say."""
        return (*self.files.warnings, *self.doubts)

    @property
    def dose_grid(self) -> Grid:
        """Grid of the planned dose, or without one a grid over the body."""
        if self.planned_dose is not None:
            return self.planned_dose.grid
        lower, upper = patient_extent(self.ct.grid, [self.structures.external(self.case_file.external)])
        shape = tuple(int(n) for n in np.ceil((upper - lower) / VOXEL_CM))
        return Grid(shape, (VOXEL_CM,) * 3, tuple(lower + 0.5 * VOXEL_CM))

    @classmethod
    def load(
        cls, folder: str | PathLike, calibration: str | None = None, fraction_group: int | None = None
    ) -> PlanCase:
        """Sort an export folder and read it; `calibration` names the CT calibration, if not case.toml's.

        Raises
        ------
        InputError
            If a part is missing, ambiguous, damaged, or does not belong to the others.
        """
        files = find_case(folder, fraction_group)
        return cls.read(files, read_plan(files.plan_file, fraction_group), calibration)

    @classmethod
    def read(cls, files: Case, plan: Plan, calibration: str | None = None) -> PlanCase:
        """Read what `files` lists beside the plan."""
        case_file = load_case_file(files.case_file) if files.case_file else CaseFile()
        if calibration:
            case_file = replace(case_file, calibration=calibration)
            load_calibration(calibration, case_file.materials)  # refused now rather than after reading the CT
        structures = read_structures(files.structures_file, frame_of_reference(files.ct_files[0]))
        title = (files.plan_file, files.structures_file, *(d.path for d in files.doses), files.ct_files[0])
        identity = read_identity(title)
        dose = _planned_dose(files, plan) if files.doses else None
        doubts = check_geometry(plan, structures, structures.external(case_file.external))
        if dose is not None:
            _refuse_incomparable(dose, structures, case_file)
            doubts = [*dose.status, *prescription_of(plan, float(dose.dose.max()))[1], *doubts]
        ct = read_ct(files.ct_files)
        doubts = [*_position_warnings(plan, ct), *doubts]
        return cls(files, identity, case_file, plan, ct, structures, dose, tuple(doubts))

    def plot(self, axes: Axes, view: str = "axial", at_mm: float | None = None) -> Artists:
        """Draw the planned dose, where there is one, as isodoses over the CT.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        view : {'axial', 'coronal', 'sagittal'}
        at_mm : float, optional
            Where the plane lies along its normal; by default it goes through the isocentre.

        Returns
        -------
        tuple of artists
            The image of the CT, and the isodoses if there are any in this plane.

        Raises
        ------
        InputError
            If there is no such view.
        """
        chosen = view_of(view)
        isocentre = self.plan.beams[0].isocentre[::-1]
        at_cm = isocentre[chosen.axis] if at_mm is None else 0.1 * at_mm
        image = draw_plane(
            axes,
            cut(self.ct.hu, self.ct.grid, chosen.axis, at_cm),
            self.ct.grid,
            chosen,
            at_cm,
            label="CT [HU]",
            cmap="gray",
            vmin=CT_WINDOW_HU[0],
            vmax=CT_WINDOW_HU[1],
        )
        left, right, *_ = extent_mm(self.dose_grid, chosen)
        axes.set(xlim=(left, right))
        if self.planned_dose is None:
            return (image,)
        grid, dose = self.planned_dose.grid, self.planned_dose.dose
        plane = cut(dose, grid, chosen.axis, at_cm)
        levels = [share * dose.max() for share in ISODOSES if share * dose.max() < np.nanmax(plane)]
        if not levels or min(plane.shape) < 2:
            return (image,)
        return image, axes.contour(*centres_mm(grid, chosen), plane, levels=levels, cmap="autumn_r")

    def _repr_html_(self) -> str:
        plan, dose, planned = self.plan, self.planned_dose, "none was exported"
        if dose is not None:
            planned = f"{' x '.join(map(str, dose.dose.shape))} voxels, to {dose.dose.max():.2f} Gy"
        facts = [
            ("planning system", plan.tps or "not stated"),
            ("machine", plan.machine),
            ("beams", f"{len(plan.beams)}, {sum(beam.mu for beam in plan.beams):.1f} MU a fraction"),
            ("fractions", plan.fractions),
            ("prescription", "; ".join(f"{p.dose:g} Gy" for p in plan.prescriptions) or "not stated"),
            ("planned dose", planned),
            ("CT", f"{len(self.files.ct_files)} slices"),
            ("structures", ", ".join(self.structures.names())),
            *(("warning", text) for text in (*self.warnings, *plan.warnings)),
            *(("not used", f"{path.name} ({why})") for path, why in self.files.unused),
        ]
        hidden = self.identity.hidden
        facts = [(name, hidden(str(value))) for name, value in facts]
        return Listing.facts(hidden(plan.label), facts)._repr_html_()


def load_case(
    folder: str | PathLike, *, calibration: str | None = None, fraction_group: int | None = None
) -> PlanCase:
    """Read the export of one plan: CT series, RTSTRUCT, RTPLAN and RTDOSE, matched by their UIDs.

    Parameters
    ----------
    folder : path
        The export, in any arrangement; a case.toml in it is read too (docs/formats.md).
    calibration : str, optional
        CT calibration, by name or TOML file, in place of that of case.toml.
    fraction_group : int, optional
        Number of the fraction group to check, where the plan has several.

    Returns
    -------
    PlanCase
        Plan, CT, structures and the planned dose of the course, if it was exported.

    Raises
    ------
    InputError
        If a part is missing, ambiguous, damaged, or does not belong to the others.
    """
    return PlanCase.load(folder, calibration, fraction_group)


def _planned_dose(files: Case, plan: Plan) -> PlannedDose:
    """The dose of the course, from that of the plan or from those of its beams."""
    doses = [read_rtdose(file.path) for file in files.doses]
    group = plan.fraction_group
    for dose, file in zip(doses, files.doses, strict=True):
        if group is not None and dose.summation != "BEAM" and file.groups != (group,):
            raise InputError(
                dose.path,
                f"is the dose of the whole plan, of which fraction group {group} alone is checked",
                f"export the dose of fraction group {group} (Dose Summation Type FRACTION), or take the file "
                "away: without one the dose alone is computed",
            )
    doses = join_planes(doses)
    whole = len(doses) == 1 and doses[0].summation != "BEAM"
    dose = doses[0] if whole else sum_beam_doses(doses, [beam.number for beam in plan.beams])
    dose = course_dose(dose, plan.fractions)
    refuse_implausible(dose.path, dose.dose)
    return dose


def _position_warnings(plan: Plan, ct: CT) -> list[str]:
    """Say where the patient is treated in another position than scanned in.

    The beams are placed by the plan's (DICOM PS3.3 C.8.8.12); the CT's says nothing about them.
    """
    if ct.patient_position in ("", plan.patient_position):
        return []
    return [
        f"the plan treats the patient in position {plan.patient_position}, the CT was taken in position "
        f"{ct.patient_position}: beams are placed as for {plan.patient_position}; is that meant?"
    ]


def _refuse_incomparable(dose: PlannedDose, structures: StructureSet, case_file: CaseFile) -> None:
    """Refuse now what could not be compared once the Monte Carlo dose is there."""
    outline = structures.external(case_file.external)
    if not dose.dose[mask_by_centre(outline, dose.grid)].any():
        raise InputError(
            dose.path, f"is zero everywhere in {outline.name}", "do RTDOSE and RTSTRUCT belong together?"
        )
