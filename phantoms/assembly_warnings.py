"""What a physicist must know of a phantom made of CT and structures; what cannot be a patient is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import Calibration
from phantoms.outlines import signed_area
from phantoms.overrides import Override
from phantoms.plausible import BODY_HU, PADDING_CC, USUAL_BODY_HU
from phantoms.polygons import area, mask_by_centre
from phantoms.roi import ROI
from phantoms.structures import StructureSet

HOLLOW, SHELL = 0.02, 0.25  # of the contours' areas that are left out: more is said, or refused
METAL_HU = 3000.0  # no tissue has more
# (axis, whether at its upper end) of the faces where a CT may cut the body off
FACES = {(1, False): "anterior", (1, True): "posterior", (2, False): "right", (2, True): "left"}


def clamp_warnings(clamped: dict[str, Any], calibration: Calibration) -> list[str]:
    """Say how much lies outside the calibration's curve."""
    return [
        f"{clamped[side]['volume_cm3']:.2f} cm3 ({clamped[side]['voxels']} voxels) lie {side} the "
        f"{clamped[side]['limit_hu']:g} HU where calibration {calibration.name} ends: density clamped"
        for side in ("below", "above")
        if clamped[side]["voxels"]
    ]


def hu_warnings(
    ct: CT, box: tuple[slice, slice, slice], outline: ROI, body: np.ndarray, from_hu: np.ndarray
) -> list[str]:
    """Say what is doubtful about the HU that are used; refuse a body that is none in HU.

    Parameters
    ----------
    ct : CT
    box : tuple of slice
        The voxels of the CT that the phantom is made of.
    outline : ROI
        Of the body.
    body, from_hu : (nz, ny, nx) bool
        Voxels of the box in the body, and those whose density HU decide.
    """
    hu = ct.hu[box]
    return [
        *_body_warnings(hu[body & from_hu], outline),
        *_padding_warnings(ct, box, from_hu, outline),
        *_metal_warnings(hu, from_hu, ct.grid.block(box)),
    ]


def structure_warnings(
    structures: StructureSet, outline: ROI, ct_grid: Grid, overrides: Sequence[Override]
) -> list[str]:
    """Say what is doubtful about body, supports and overrides; refuse a body that is but a shell."""
    return [
        *_left_out_warnings(structures),
        *_hollow_warnings(outline),
        *_cut_warnings(outline, ct_grid),
        *_override_warnings(structures, overrides),
    ]


def _body_warnings(hu: np.ndarray, outline: ROI) -> list[str]:
    """Refuse a body that is none in HU, and say where it is an unusual one."""
    if not hu.size:
        return []  # all of it is overridden
    middle = float(np.median(hu))
    remedy = f"export the CT in HU, or state the material of {outline.name} in case.toml"
    BODY_HU.check(middle, f"structure {outline.name}", "the median of its CT values", remedy)
    if USUAL_BODY_HU.fault(middle) is None:
        return []
    return [f"the median of {outline.name} is {middle:.0f} HU, unusual for a patient: is the CT in HU?"]


def _padding_warnings(ct: CT, box: tuple[slice, ...], from_hu: np.ndarray, outline: ROI) -> list[str]:
    """Say how much of what is computed from HU the scanner did not measure."""
    if ct.padding is None:
        return []
    missing = ct.padding[box] & from_hu
    volume_cc = int(missing.sum()) * ct.grid.voxel_volume
    if volume_cc < PADDING_CC:
        return []
    low, high = (f"{end:.0f}" for end in (ct.hu[box][missing].min(), ct.hu[box][missing].max()))
    taken = f"{low} HU" if low == high else f"{low} to {high} HU"
    return [
        f"{volume_cc:.0f} cm3 within {outline.name} or supports are padding of the CT, not measured, and "
        f"taken as {taken}: state structure and material in case.toml"
    ]


def _metal_warnings(hu: np.ndarray, from_hu: np.ndarray, grid: Grid) -> list[str]:
    """Say where HU that only metal has decide the density."""
    metal = from_hu & (hu > METAL_HU)
    count = int(metal.sum())
    if not count:
        return []
    index = np.argwhere(metal).mean(axis=0)
    middle = 10.0 * (np.array(grid.origin) + index * np.array(grid.spacing))
    x, y, z = middle[::-1]
    return [
        f"{count * grid.voxel_volume:.2f} cm3 ({count} voxels) above {METAL_HU:g} HU, about "
        f"({x:.0f}, {y:.0f}, {z:.0f}) mm, have no override: metal? The CT curve decides its density; state "
        "structure and material in case.toml"
    ]


def _cut_warnings(outline: ROI, ct_grid: Grid) -> list[str]:
    """Say where the CT cuts the body off. At its first and last slice it always does."""
    warnings = []
    for (axis, last), name in FACES.items():
        n = ct_grid.shape[axis]
        block = [slice(0, size) for size in ct_grid.shape]
        block[axis] = slice(n - 1, n) if last else slice(0, 1)
        cut = int(mask_by_centre(outline, ct_grid.block(tuple(block))).sum())
        if cut:
            area = cut * ct_grid.voxel_volume / ct_grid.spacing[axis]
            warnings.append(
                f"the CT cuts {outline.name} off on its {name} side, over {area:.1f} cm2: "
                "what lies beyond is taken as air"
            )
    slabs = outline.slabs()
    beyond = max(ct_grid.lower[0] - slabs[0].lower, slabs[-1].upper - ct_grid.upper[0])
    if beyond > ct_grid.spacing[0]:
        warnings.append(f"{outline.name} is contoured up to {10 * beyond:.1f} mm beyond the slices of the CT")
    return warnings


def _left_out_warnings(structures: StructureSet) -> list[str]:
    """Say which structures cannot be evaluated, by reason."""
    reasons: dict[str, list[str]] = {}
    for roi in structures.rois:
        if roi.problem:
            reasons.setdefault(roi.problem, []).append(roi.name)
    return [f"structure {', '.join(names)} {problem}: left out" for problem, names in reasons.items()]


def _hollow_warnings(outline: ROI) -> list[str]:
    """Say how much of the body its inner contours leave out; refuse one that is but a shell."""
    lost = whole = 0.0
    for slab in outline.slabs():
        height = slab.upper - slab.lower
        whole += height * sum(abs(signed_area(polygon)) for polygon in slab.polygons)
        if len(slab.polygons) > 1:
            around = max(area([polygon]) for polygon in slab.polygons)
            lost += height * max(0.0, around - area(slab.polygons))
    if lost < HOLLOW * whole:
        return []
    if lost > SHELL * whole:
        raise InputError(
            f"structure {outline.name}",
            f"is hollow: its contours leave out {lost:.0f} cm3 of what they go round",
            "remove its inner contours in the planning system",
        )
    return [
        f"{outline.name} is hollow: {lost:.0f} cm3 of what its contours go round lie within inner ones and "
        "are taken as air"
    ]


def _override_warnings(structures: StructureSet, overrides: Sequence[Override]) -> list[str]:
    overridden = {override.roi for override in overrides}
    warnings = []
    for roi in structures.rois:
        if roi.is_empty or roi.name in overridden:
            continue
        for name, value in roi.physical.items():
            warnings.append(
                f"the planning system assigned {name} {value:g} to {roi.name}; without an override here "
                "the CT decides"
            )
        if roi.type == "SUPPORT" and not roi.physical:
            warnings.append(f"support {roi.name} has no override: its density is the CT's")
    return warnings
