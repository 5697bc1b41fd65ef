"""Setup errors: motions and their signs, doses of moved tissue, and curves against doses computed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mc.dose import Dose
from mc.plan.plan import Beam, ControlPoint, Plan, Prescription, beam_to_patient
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from phantoms.structures import ROI, StructureSet
from validation.limits.profiles import load_profile, synonyms
from validation.whatif import AXES, SetupError, what_if
from validation.whatif.motion import direction, move_plan

GRID = Grid((40, 40, 40), (0.3, 0.3, 0.3), (-5.85, -5.85, -5.85))
ISO = (0.0, 0.5, 0.0)
MU = 0.0494  # attenuation of water at 6 MV
PROFILE = load_profile("spine")


def plan(gantries=(0.0, 90.0), position="HFS", couch=0.0) -> Plan:
    beams = tuple(
        Beam(
            k, f"G{g:g}", "LINAC", 6.0, "FFF", 100.0, 100.0,
            tuple(ControlPoint(w, g, 0.0, couch, ISO, (-2.0, 2.0, -2.0, 2.0)) for w in (0.0, 1.0)),
        )
        for k, g in enumerate(gantries, start=1)
    )  # fmt: skip
    prescriptions = (Prescription(10.0, 2, "PTV"),)
    return Plan("P", "1", "P", "T", "1", "1", position, 3, prescriptions, "LINAC", beams)


def box(number, name, kind, lower, upper) -> ROI:
    planes = np.arange(lower[2] + 0.05, upper[2], 0.1)
    corners = [(lower[0], lower[1]), (upper[0], lower[1]), (upper[0], upper[1]), (lower[0], upper[1])]
    contours = tuple(np.array([(*corner, plane) for corner in corners]) for plane in planes)
    return ROI(number, name, kind, (0, 0, 0), contours, 0.1)


def structures() -> StructureSet:
    rois = (
        box(1, "BODY", "EXTERNAL", (-5.4, -5.4, -5.4), (5.4, 5.4, 5.4)),
        box(2, "PTV", "PTV", (-1.5, -1.0, -1.5), (1.5, 2.0, 1.5)),
        box(3, "SpinalCord", "ORGAN", (-0.5, 2.6, -5.0), (0.5, 3.6, 5.0)),
        box(4, "Liver", "ORGAN", (3.0, 0.0, -1.0), (4.5, 2.0, 1.0)),
    )
    return StructureSet(rois, "RS", "1", "1", "P", "", frozenset(), "RTSTRUCT")


def written_dose(treatment: Plan) -> Dose:
    """Smooth fields of primary photons in a cube of water, in the patient's coordinates."""
    z, y, x = np.meshgrid(*(GRID.centres(axis) for axis in range(3)), indexing="ij")
    points = np.stack([x, y, z], axis=-1)
    total = np.zeros(GRID.shape)
    for beam in treatment.beams:
        rotation, source = beam_to_patient(beam, treatment.patient_position)
        path = points - source
        u, v, s = np.moveaxis(path @ rotation, -1, 0)
        u, v = 100 * u / s, 100 * v / s
        # where the ray enters the cube of half side 5.4: the last of the three slabs it reaches
        with np.errstate(divide="ignore", invalid="ignore"):
            entry = np.minimum((-5.4 - source) / path, (5.4 - source) / path)
        inside = 1.0 - np.nanmax(np.where(np.isfinite(entry), entry, 0.0), axis=-1)
        depth = np.maximum(inside, 0.0) * np.linalg.norm(path, axis=-1)
        field = 1 / (1 + np.exp((abs(u) - 2.0) / 0.2)) / (1 + np.exp((abs(v) - 2.0) / 0.2))
        total += 8.0 * field * (100 / s) ** 2 * np.exp(-MU * depth)
    return Dose(GRID, total, 0.001 * total, 0.0, {"quantity": "dose to medium, whole course"})


def phantom() -> Phantom:
    inside = np.zeros(GRID.shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    materials = load_materials()
    density = np.where(inside, 1.0, 0.00121)
    return Phantom(GRID, density, inside.astype(np.uint8), (materials["air"], materials["water"]), {})


def curves_of(**options):
    treatment = options.pop("plan", plan())
    dose = options.pop("dose", None) or written_dose(treatment)
    options.setdefault("drawn", 10)
    return what_if(treatment, dose, structures(), phantom(), PROFILE, synonyms(), **options)


def curve(found, structure, metric, axis):
    return next(c for c in found.curves if (c.structure, c.metric, c.axis) == (structure, metric, axis))


@pytest.mark.parametrize("position", ["HFS", "FFP", "HFDR"])
def test_a_motion_and_its_inverse_undo_each_other(position):
    error = SetupError(3.0, -2.0, 1.0, 2.0, -3.0, 1.0)
    points = np.random.default_rng(0).normal(size=(20, 3))
    there = error.moved(points, np.array(ISO), position)
    assert error.moved(there, np.array(ISO), position, back=True) == pytest.approx(points)
    assert np.linalg.norm(there[:1] - there, axis=1) == pytest.approx(
        np.linalg.norm(points[:1] - points, axis=1)
    )


def test_signs_are_those_of_the_table_of_iec_61217():
    def move(point, **error):
        return SetupError(**error).moved(np.array([point]), np.zeros(3), "HFS")[0]

    # supine, head first: table X is the patient's left, Y the head, Z anterior (-y of LPS)
    assert move((0, 0, 0), lateral=10.0) == pytest.approx((1, 0, 0))
    assert move((0, 0, 0), longitudinal=10.0) == pytest.approx((0, 0, 1))
    assert move((0, 0, 0), vertical=10.0) == pytest.approx((0, -1, 0))
    assert move((0, 0, 1), pitch=90.0) == pytest.approx((0, -1, 0))  # Y to Z: the head goes up
    assert move((0, -1, 0), roll=90.0) == pytest.approx((1, 0, 0))  # Z to X: the front goes left
    assert move((1, 0, 0), yaw=90.0) == pytest.approx((0, 0, 1))  # X to Y: the left goes to the head
    assert direction("vertical", "HFS") == "patient moved anterior (up)"
    assert direction("vertical", "HFP") == "patient moved posterior (up)"
    assert direction("yaw", "HFS") == "what is left turns superior"


@pytest.mark.parametrize("axis", ["roll", "yaw"])
def test_a_moved_plan_is_the_plan_seen_by_the_moved_patient(axis):
    error = SetupError(lateral=4.0, vertical=-3.0) if axis == "roll" else SetupError(longitudinal=2.0)
    error = replace(error, **{axis: 7.0})
    couch = 0.0 if axis == "roll" else 20.0
    treatment = plan((0.0, 90.0, 130.0), couch=couch)
    for before, after in zip(treatment.beams, move_plan(treatment, error).beams, strict=True):
        rotation, source = beam_to_patient(before, "HFS")
        turned, moved = beam_to_patient(after, "HFS")
        assert moved == pytest.approx(error.moved(source[None], np.array(ISO), "HFS", back=True)[0])
        assert turned == pytest.approx(error.motion("HFS")[0].T @ rotation)


def test_what_no_machine_can_do_is_refused():
    with pytest.raises(InputError, match="pitch"):
        move_plan(plan(), SetupError(pitch=1.0))
    with pytest.raises(InputError, match="roll"):
        move_plan(plan(couch=10.0), SetupError(roll=1.0))


@pytest.mark.parametrize(
    "error",
    [
        SetupError(lateral=4.0),
        SetupError(vertical=4.0),
        SetupError(longitudinal=-3.0),
        SetupError(roll=3.0),
        SetupError(yaw=-3.0),
    ],
    ids=str,
)
def test_curves_follow_a_dose_that_is_computed_anew(error):
    """The patient moves; the dose written down for where it then lies is the truth."""
    treatment = plan()
    found = curves_of(checks=[error], compute=lambda e: written_dose(move_plan(treatment, e)))
    assert {c.structure for c in found.checks} == {"PTV", "SpinalCord"}
    for check in found.checks:
        tolerance = 0.06 if check.unit == "Gy" else 1.0  # of 11 Gy; 1 % of the PTV is eight voxels
        assert check.value == pytest.approx(check.computed, abs=tolerance), check
    # a dose fixed in the room does not see the longer paths
    off = {name: max(abs(getattr(c, name) - c.computed) for c in found.checks if c.unit == "Gy")
           for name in ("value", "fixed")}  # fmt: skip
    assert off["value"] <= off["fixed"] + 0.01
    if error.vertical:
        assert off["fixed"] > 0.1


def test_curves_have_the_tables_value_in_the_middle_and_fall_with_the_error():
    found = curves_of(shift_mm=6.0)
    d95 = curve(found, "PTV", "D95%", "longitudinal")
    middle = next(s for s in found.summaries if (s.structure, s.metric) == ("PTV", "D95%"))
    assert d95.errors[5] == 0.0 and d95.values[5] == pytest.approx(middle.value, rel=1e-6)
    assert max(d95.values[0], d95.values[-1]) < 0.8 * middle.value
    assert d95.values[0] == pytest.approx(d95.values[-1], rel=0.05)  # about symmetric
    assert len(found.curves) == 2 * 2 * len(AXES)


def test_limits_are_kept_as_far_as_the_curve_says():
    dose = written_dose(plan())
    dose = Dose(GRID, 1.8 * dose.mean, dose.sigma, 0.0, dose.provenance)
    found = curves_of(dose=dose, shift_mm=10.0)
    cord = curve(found, "SpinalCord", "D0.35cc", "vertical")
    middle = next(s for s in found.summaries if (s.structure, s.metric) == ("SpinalCord", "D0.35cc"))
    least = min(limit.value for limit in middle.limits)
    assert middle.value < least and cord.values[-1] > least  # moved up, into the field
    assert cord.kept[0] == pytest.approx(-10.0) and 0.0 < cord.kept[1] < 10.0
    assert np.interp(cord.kept[1], cord.errors, cord.values) == pytest.approx(least, rel=1e-6)


def test_random_errors_spread_as_their_sigma_says_and_small_ones_do_nothing():
    none = curves_of(sigma_mm=1e-3, sigma_deg=1e-3)
    wide = curves_of(sigma_mm=3.0, sigma_deg=1e-3, drawn=100)
    for summary in none.summaries:
        assert summary.percentiles == pytest.approx([summary.value] * 3, rel=2e-3)
    d95 = next(s for s in wide.summaries if s.metric == "D95%")
    assert d95.percentiles[0] < 0.9 * d95.value and d95.percentiles[2] < 1.05 * d95.value


def test_structures_that_are_asked_for_are_shown_and_others_refused():
    assert "Liver" in {c.structure for c in curves_of(also=["Liver"]).curves}
    with pytest.raises(InputError, match="no structure Spleen"):
        curves_of(also=["Spleen"])
    only_body = replace(structures(), rois=structures().rois[:1])
    with pytest.raises(InputError, match="no target and no cord"):
        what_if(plan(), written_dose(plan()), only_body, phantom(), PROFILE, synonyms())


def test_without_a_prescription_there_is_no_v100():
    found = curves_of(plan=replace(plan(), prescriptions=()))
    assert "V100%" not in {c.metric for c in found.curves} and "V100%" in found.notes[0]
