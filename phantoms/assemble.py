"""CT, structures and overrides -> Phantom, with a record of what was assigned to which volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from phantoms.assembly_warnings import clamp_warnings, hu_warnings, structure_warnings
from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import Calibration
from phantoms.materials import Material, load_materials
from phantoms.overrides import Override
from phantoms.phantom import Phantom
from phantoms.plausible import MAX_VOXELS
from phantoms.polygons import mask_by_centre, volume
from phantoms.resample import average_onto
from phantoms.structures import ROI, StructureSet

AIR_DENSITY = 0.00121  # outside the patient [g/cm3]
ALIGNED = 1e-4  # voxels: one that an extent overlaps by less is not included


def build_phantom(
    ct: CT,
    structures: StructureSet,
    calibration: Calibration,
    grid: Grid,
    overrides: Sequence[Override] = (),
    external: str | None = None,
) -> Phantom:
    """Assemble the phantom that transport sees.

    On the CT's own voxels: density and material from HU inside the body outline and inside SUPPORT
    structures, air elsewhere, then the overrides in their order, wherever they lie. A voxel belongs to a
    structure when its centre does. The result is averaged onto `grid` (`phantoms.resample`), or taken
    voxel for voxel where `grid` is the CT's.

    Parameters
    ----------
    ct : CT
    structures : StructureSet
    calibration : Calibration
    grid : Grid
        See `transport_grid`.
    overrides : sequence of Override
    external : str, optional
        Name of the body outline, where there are several.

    Returns
    -------
    Phantom
        Its `audit` has `calibration`, `body`, `supports`, `overrides`, `materials` (volume, mass and mean
        density inside body, supports and overrides), `clamped` (HU outside the curve) and `warnings`.
    """
    check_frames(ct, structures)
    outline = structures.external(external)
    supports = structures.of_type("SUPPORT")
    box = _covering_block(ct.grid, grid)
    part = ct.grid.block(box)
    hu = ct.hu[box]
    body = mask_by_centre(outline, part)
    if not body.any():
        raise InputError(
            f"structure {outline.name}", "holds no voxel of the CT", "does it belong to this CT?"
        )
    from_hu = body.copy()
    for roi in supports:
        from_hu |= mask_by_centre(roi, part)

    density, index = calibration.apply(hu)
    materials, index = _with_air_first(calibration.materials, index)
    density[~from_hu], index[~from_hu] = AIR_DENSITY, 0
    assigned = []
    inside = from_hu.copy()
    for override in overrides:
        roi = structures[override.roi]
        mask = mask_by_centre(roi, part)
        if not mask.any():
            raise InputError(
                f"structure {roi.name}",
                "is to be overridden but holds no voxel of the CT",
                "does it belong to this CT?",
            )
        if override.material not in materials:
            materials.append(override.material)
        density[mask], index[mask] = override.density, materials.index(override.material)
        from_hu &= ~mask
        inside |= mask
        assigned.append(
            {
                "roi": roi.name,
                "material": override.material.name,
                "density": override.density,
                "volume_cm3": volume(roi),
                "voxel_volume_cm3": int(mask.sum()) * part.voxel_volume,
            }
        )
    materials, index = _used_only(materials, index)

    audit = {
        "calibration": {"name": calibration.name, "source": calibration.source},
        "body": {"roi": outline.name, "volume_cm3": volume(outline), "voxels": int(body.sum())},
        "supports": [roi.name for roi in supports],
        "overrides": assigned,
        "materials": _account(density, index, inside, materials, part.voxel_volume),
        "clamped": _clamped(hu[from_hu], calibration, part.voxel_volume),
    }
    audit["warnings"] = [
        *ct.warnings,
        *structures.warnings,
        *clamp_warnings(audit["clamped"], calibration),
        *hu_warnings(ct, box, outline, body, from_hu),
        *structure_warnings(structures, outline, ct.grid, overrides),
    ]
    if not grid.matches(ct.grid):
        density, index = average_onto(part, density, index, grid, len(materials), AIR_DENSITY)
    return Phantom(grid, density, index, tuple(materials), audit)


def check_frames(ct: CT, structures: StructureSet) -> None:
    """Refuse structures that were not drawn on this CT."""
    if structures.frame_of_reference_uid != ct.frame_of_reference_uid:
        raise InputError(
            structures.source,
            f"frame of reference {structures.frame_of_reference_uid} is not that of the CT, "
            f"{ct.frame_of_reference_uid}",
            "export the CT the structures were drawn on",
        )
    if structures.images and ct.series_uid not in structures.images:
        raise InputError(
            structures.source,
            f"was drawn on CT series {min(structures.images)}, not {ct.series_uid}",
            "export the CT the structures were drawn on",
        )
    missing = structures.images.get(ct.series_uid, frozenset()) - ct.sop_uids
    if missing:
        raise InputError(
            structures.source,
            f"refers to {len(missing)} CT slice(s) that are missing, first {min(missing)}",
            "export the whole CT series",
        )


def patient_rois(
    structures: StructureSet, overrides: Iterable[Override] = (), external: str | None = None
) -> list[ROI]:
    """Return the structures that transport must cover: body outline, supports and overridden ones."""
    overridden = [structures[override.roi] for override in overrides]
    return [structures.external(external), *structures.of_type("SUPPORT"), *overridden]


def patient_extent(ct_grid: Grid, rois: Iterable[ROI]) -> tuple[np.ndarray, np.ndarray]:
    """Return the box around structures, cut to the CT.

    Parameters
    ----------
    ct_grid : Grid
    rois : iterable of ROI
        See `patient_rois`.

    Returns
    -------
    lower, upper : (3,) float64
        Corners (z, y, x) [cm], half a CT voxel beyond the structures: no voxel of theirs reaches further.
    """
    lower, upper = np.full(3, np.inf), np.full(3, -np.inf)
    for roi in rois:
        slabs = roi.slabs()
        points = np.concatenate([polygon for slab in slabs for polygon in slab.polygons])
        lower = np.minimum(lower, [slabs[0].lower, *points.min(axis=0)[::-1]])
        upper = np.maximum(upper, [slabs[-1].upper, *points.max(axis=0)[::-1]])
    half = 0.5 * np.array(ct_grid.spacing)
    lower, upper = np.maximum(lower - half, ct_grid.lower), np.minimum(upper + half, ct_grid.upper)
    if not (lower < upper).all():
        raise InputError("structures", "the body lies outside the CT", "do RTSTRUCT and CT belong together?")
    return lower, upper


def transport_grid(
    ct_grid: Grid,
    dose_grid: Grid,
    extent: tuple[np.ndarray, np.ndarray],
    voxel: tuple[float, float, float] | float | None = None,
) -> Grid:
    """Return the grid to transport on: it covers the patient and the RTDOSE grid.

    Its voxels have the size and phase of the RTDOSE grid, so that the RTDOSE grid is a block of it
    (`dose_block`). With `voxel` its edges start from the lower corner of the RTDOSE grid.

    Parameters
    ----------
    ct_grid, dose_grid : Grid
    extent : (lower, upper)
        From `patient_extent`, (z, y, x) [cm].
    voxel : float or (float, float, float), optional
        Another voxel size, (dz, dy, dx) [cm].
    """
    within = (extent[0] >= ct_grid.lower - ALIGNED).all() and (extent[1] <= ct_grid.upper + ALIGNED).all()
    if dose_grid.matches(ct_grid) and voxel is None and within:
        return ct_grid  # covers the patient already, and spares all resampling
    spacing = np.array(dose_grid.spacing if voxel is None else np.broadcast_to(voxel, 3), dtype=float)
    if not (np.isfinite(spacing).all() and spacing.min() > 0):
        raise InputError("voxel size", f"{spacing.tolist()} cm is not above 0", "name a side such as 2.5mm")
    lower = np.minimum(extent[0], dose_grid.lower)
    upper = np.maximum(extent[1], dose_grid.upper)
    first = np.floor((lower - dose_grid.lower) / spacing + ALIGNED).astype(int)
    last = np.ceil((upper - dose_grid.lower) / spacing - ALIGNED).astype(int)
    if (voxels := float(np.prod((last - first).astype(float)))) > MAX_VOXELS:
        raise InputError(
            "transport grid",
            f"would have {voxels:.3g} voxels of {(10 * spacing[::-1]).round(3).tolist()} mm",
            "take larger voxels: --voxel 2mm",
        )
    return Grid(tuple(last - first), tuple(spacing), tuple(dose_grid.lower + (first + 0.5) * spacing))


def dose_block(outer: Grid, inner: Grid) -> tuple[slice, slice, slice]:
    """Return the slices of `outer`'s arrays that hold the voxels of `inner`, a block of it."""
    offset = (inner.lower - outer.lower) / np.array(outer.spacing)
    first = np.round(offset).astype(int)
    block = tuple(slice(int(a), int(a) + n) for a, n in zip(first, inner.shape, strict=True))
    fits = all(s.start >= 0 and s.stop <= n for s, n in zip(block, outer.shape, strict=True))
    if not (fits and outer.block(block).matches(inner)):
        raise ValueError("the inner grid is not a block of the outer grid")
    return block


def coverage_warnings(ct_grid: Grid, dose_grid: Grid) -> list[str]:
    """Say where the RTDOSE grid reaches outside the CT; there the phantom is air."""
    names = (("inferior", "superior"), ("anterior", "posterior"), ("right", "left"))
    beyond = []
    for axis in (2, 1, 0):
        for side, excess in enumerate(
            (ct_grid.lower[axis] - dose_grid.lower[axis], dose_grid.upper[axis] - ct_grid.upper[axis])
        ):
            if excess > 0.01 * ct_grid.spacing[axis]:
                beyond.append(f"{10 * excess:.1f} mm {names[axis][side]}")
    return (
        [f"the RTDOSE grid reaches outside the CT, taken as air there: {', '.join(beyond)}"] if beyond else []
    )


def _covering_block(grid: Grid, target: Grid) -> tuple[slice, slice, slice]:
    """Return the slices of all voxels of `grid` that `target` overlaps."""
    spacing = np.array(grid.spacing)
    first = np.floor((target.lower - grid.lower) / spacing + ALIGNED).astype(int).clip(0)
    last = np.minimum(np.ceil((target.upper - grid.lower) / spacing - ALIGNED).astype(int), grid.shape)
    if not (first < last).all():
        raise InputError("transport grid", "does not overlap the CT", "do RTDOSE and CT belong together?")
    return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))


def _with_air_first(calibrated: tuple[Material, ...], index: np.ndarray) -> tuple[list[Material], np.ndarray]:
    air = next((m for m in calibrated if m.name == "air"), None) or load_materials()["air"]
    materials = [air, *(m for m in calibrated if m is not air)]
    lookup = np.array([materials.index(m) for m in calibrated], dtype=np.uint8)
    return materials, lookup[index]


def _used_only(materials: list[Material], index: np.ndarray) -> tuple[list[Material], np.ndarray]:
    """Drop materials of no voxel, but never air."""
    used = np.bincount(index.ravel(), minlength=len(materials)) > 0
    used[0] = True
    lookup = (np.cumsum(used) - 1).astype(np.uint8)
    return [m for m, keep in zip(materials, used, strict=True) if keep], lookup[index]


def _account(
    density: np.ndarray, index: np.ndarray, inside: np.ndarray, materials: list[Material], voxel_volume: float
) -> list[dict[str, Any]]:
    """Return volume and mean density by material, over the voxels `inside`."""
    counts = np.bincount(index[inside], minlength=len(materials))
    sums = np.bincount(index[inside], density[inside].astype(np.float64), minlength=len(materials))
    return [
        {
            "material": material.name,
            "volume_cm3": float(count * voxel_volume),
            "mass_g": float(total * voxel_volume),
            "mean_density": float(total / count),
        }
        for material, count, total in zip(materials, counts, sums, strict=True)
        if count
    ]


def _clamped(hu: np.ndarray, calibration: Calibration, voxel_volume: float) -> dict[str, Any]:
    below, above = calibration.count_clamped(hu)
    return {
        "below": {"limit_hu": float(calibration.hu[0]), "voxels": below, "volume_cm3": below * voxel_volume},
        "above": {"limit_hu": float(calibration.hu[-1]), "voxels": above, "volume_cm3": above * voxel_volume},
        "lowest_hu": float(hu.min()) if hu.size else None,
        "highest_hu": float(hu.max()) if hu.size else None,
    }
