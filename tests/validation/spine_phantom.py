"""A made-up spine case in memory, ready to be changed, and its comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mc.dose import TO_MEDIUM, Dose
from mc.plan.plan import Beam, ControlPoint, Plan, Prescription
from mc.run.report import RunReport
from phantoms.ct import CT
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from phantoms.structures import ROI, StructureSet
from validation.limits.profiles import load_profile
from validation.plan_check.comparison import Comparison, compare
from validation.plan_check.record import Record
from validation.rtdose import PlannedDose

GRID = Grid((16, 24, 24), (0.2, 0.2, 0.2), (-1.5, -2.3, -2.3))
PRESCRIPTION = 16.0
NAME = "Doe^Jane"
FOLDER = Path(f"/exports/{NAME}")


def roi(
    number: int, name: str, kind: str, x: tuple[float, float], y: tuple[float, float], z=(-1.6, 1.6)
) -> ROI:
    """A cuboid [cm], contoured on planes 0.2 cm apart."""
    planes = np.arange(z[0] + 0.1, z[1], 0.2)
    corners = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
    contours = tuple(np.array([(*corner, plane) for corner in corners]) for plane in planes)
    return ROI(number, name, kind, (255, 0, 0), contours, 0.2)


BODY = roi(1, "BODY", "EXTERNAL", (-2.2, 2.2), (-2.2, 2.2))
PTV = roi(2, "PTV_L1", "PTV", (-0.8, 0.8), (-0.8, 0.6), (-0.8, 0.8))
CORD = roi(3, "SpinalCord", "ORGAN", (-0.4, 0.4), (1.0, 1.6))


def plan_of(isocentres=((0.0, 0.0, 0.0),), prescriptions=(PRESCRIPTION,)) -> Plan:
    """A plan with a beam for each isocentre and a prescription for each dose."""
    beams = tuple(
        Beam(
            number,
            f"G{40 * number}",
            "TESTLINAC",
            6.0,
            "FFF",
            100.0,
            100.0,
            tuple(
                ControlPoint(weight, 40.0 * number, 0.0, 0.0, isocentre, (-1.0, 1.0, -1.0, 1.0))
                for weight in (0.0, 1.0)
            ),
        )
        for number, isocentre in enumerate(isocentres, start=1)
    )
    return Plan(
        label="SPINE",
        uid="1.2.3",
        patient_id="MRN-0815",
        tps="Test TPS 1.0",
        frame_of_reference_uid="1.2.4",
        structure_set_uid="1.2.5",
        patient_position="HFS",
        fractions=3,
        prescriptions=tuple(Prescription(dose, 2, "PTV_L1") for dose in prescriptions),
        machine="TESTLINAC",
        beams=beams,
    )


def plan_gray(grid: Grid = GRID) -> np.ndarray:
    """17.6 Gy in and about the target, falling towards the cord and the skin, 0 outside BODY."""
    z, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    beyond = [np.maximum(abs(c) - half, 0) for c, half in ((x, 0.9), (y, 0.8), (z, 0.9))]
    outside = np.sqrt(sum(distance**2 for distance in beyond))
    dose = 1.1 * PRESCRIPTION * np.exp(-((outside / 0.9) ** 2))
    return np.where((abs(x) < 2.2) & (abs(y) < 2.2), dose, 0.0)


def exported(dose: np.ndarray, grid: Grid) -> PlannedDose:
    """A dose [Gy] as a planning system exports it."""
    return PlannedDose(
        FOLDER / "RTDOSE.dcm", grid, dose, "PLAN", "1.2.6", "1.2.7", "1.2.4", "MRN-0815",
        "1.2.3", "1.2.5", None, None, 1e-6,
    )  # fmt: skip


def case(
    scale: float = 1.0, noise: float = 0.005, rois=(BODY, PTV, CORD), grid: Grid = GRID, **changes
) -> dict:
    """What `compare_case` takes: Monte Carlo is `scale` times the plan, with `noise` of its maximum."""
    planned = plan_gray()
    truth = plan_gray(grid)
    sigma = noise * np.sqrt(truth * truth.max())
    blurred = scale * truth + sigma * np.random.default_rng(7).standard_normal(truth.shape)
    provenance = {
        "mcverify": "0.1.0",
        "machine_sha256": "c0ffee" * 10,
        "stop": {"uncertainty": 0.01},
        "physics": {"electron_cut": 0.189, "photon_cut": 0.05},
        "phase_spaces": {"field.IAEAphsp": "ab" * 32},
    }
    water = load_materials()["water"]
    air = load_materials()["air"]
    density = np.where(planned > 0, 1.0, 0.00121)
    audit = {
        "calibration": {"name": "water-only", "source": "a test"},
        "body": {"roi": "BODY", "volume_cm3": 61.0, "voxels": 100},
        "supports": [],
        "overrides": [{"roi": "Rod", "material": "titanium", "density": 4.54, "volume_cm3": 1.5}],
        "materials": [{"material": "water", "volume_cm3": 61.0, "mass_g": 61.0, "mean_density": 1.0}],
        "clamped": {"below": {"limit_hu": -1000.0, "voxels": 0, "volume_cm3": 0.0}, "lowest_hu": None},
        "warnings": ["the CT cuts BODY off"],
    }
    given = {
        "plan": plan_of(),
        "planned_dose": exported(planned, GRID),
        "dose": Dose(grid, np.maximum(blurred, 0), sigma, 0.5 * sigma, provenance),
        "structures": StructureSet(
            tuple(rois), "RS", "1.2.5", "1.2.4", "MRN-0815", "", frozenset(), str(FOLDER / "RTSTRUCT.dcm")
        ),
        "ct": CT(
            GRID, np.where(planned > 0, 30.0, -1000.0), "1.2.4", "1.2.8", "1.2.7", "HFS", "MRN-0815",
            frozenset(),
        ),
        "phantom": Phantom(GRID, density, (density > 0.5).astype(np.uint8), (air, water), audit),
        "profile": load_profile("spine"),
        "report": RunReport(
            histories=1_000_000,
            phase_space_reuse=4.0,
            transport_uncertainty=0.008,
            latent_uncertainty=0.004,
            energy_balance=1.0,
            lost_particles=0,
            wall_seconds=61.0,
            seed=1,
        ),
        "calibration": {"6 MV FFF": {"gy_per_history": 1.8e-16, "sigma": 2e-19, "latent": 0.003}},
        "warnings": [f"{FOLDER / 'RTPLAN.dcm'}: beam 1 has no name"],
    }  # fmt: skip
    return given | changes


def with_run(dose: Dose, report: RunReport, calibration: dict) -> Dose:
    """The dose with what a run leaves in its provenance."""
    made = {**dose.provenance, "quality": report.to_dict(), "calibrations": calibration}
    return replace(dose, provenance=made)


def compare_case(given: dict) -> Comparison:
    """The comparison of a `case`."""
    given = dict(given)
    dose = with_run(*(given.pop(name) for name in ("dose", "report", "calibration")))
    profile, stages = given.pop("profile"), given.pop("on_stage", lambda _: None)
    return compare(Record("", quantity=TO_MEDIUM, **given), dose, profile, on_stage=stages)
