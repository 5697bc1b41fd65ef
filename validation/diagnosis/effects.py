"""What each kind of error does to the dose of a voxel: the columns of the fit.

Every column is the change of the plan's dose relative to Monte Carlo's for one unit of its parameter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mc.plan.plan import TABLE_TO_PATIENT, Plan
from phantoms.grid import Grid
from validation.diagnosis.directions import Direction
from validation.diagnosis.rays import ray_integrals
from validation.diagnosis.voxels import Patient, Voxels

REFERENCE_DEPTH = 10.0  # where a wrong energy leaves the dose right, by calibration [g/cm2]
DEPTH_UNIT = 10.0  # of the slope with depth [g/cm2]
PROFILE_UNIT, PROFILE_POWER = 5.0, 1.5  # of a change across the field, off the beam axis [cm]
COUCH_WIDTH = 53.0  # of a couch that is not in the phantom [cm]
MAX_OBLIQUE = 5.0  # path through such a couch over its thickness, at most
FAR = 0.5  # of the longest path through a region: voxels with more lie behind it
NOT_AIR = 0.01  # [g/cm3]
TISSUES = {  # by their density [g/cm3]
    "bone": (1.12, 2.3),
    "metal": (2.3, math.inf),
    "lung": (0.12, 0.6),
    "gas": (0.0, 0.12),
    "fat": (0.85, 0.985),
}


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the patient whose density may have been another one.

    Parameters
    ----------
    name : str
    fraction : (nz, ny, nx) float64
        Of each voxel of the patient's grid in it.
    change : (nz, ny, nx) float64 or None
        Change of density for one unit of the parameter [g/cm3]; None: 1 g/cm3 everywhere in it.
    stated : str
        What RTSTRUCT or case file say of its density.
    has_inside : bool
        Whether doses within it are compared: not in gas, where hardly a photon is seen.
    """

    name: str
    fraction: np.ndarray
    change: np.ndarray | None = None
    stated: str = ""
    has_inside: bool = True


@dataclass(frozen=True, eq=False)
class RegionColumns:
    """Effect of a region on the voxels.

    Parameters
    ----------
    path : (n,) float64
        Through the radiological depth.
    inside : (n,) bool
    behind : (n,) bool
        Not inside, with most of the path.
    """

    path: np.ndarray
    inside: np.ndarray
    behind: np.ndarray


def slopes_at(dose: np.ndarray, grid: Grid, chosen: np.ndarray) -> np.ndarray:
    """Slopes of a dose along LPS x, y and z at the chosen voxels, (n, 3) [Gy/cm]."""
    slopes = np.gradient(dose, *grid.spacing)
    return np.stack([slope[chosen] for slope in slopes[::-1]], axis=1)


def depth_column(voxels: Voxels) -> np.ndarray:
    """Change of dose per `DEPTH_UNIT` of radiological depth beyond `REFERENCE_DEPTH`, (n,)."""
    return (voxels.mean(voxels.depths) - REFERENCE_DEPTH) / DEPTH_UNIT


def profile_column(voxels: Voxels) -> np.ndarray:
    """Change of dose towards the edge of a field, 1 at `PROFILE_UNIT` from the beam axis, (n,).

    Between the cone and the parabola that beams without a flattening filter are near the axis and far off.
    """
    return voxels.mean((voxels.off_axis / PROFILE_UNIT) ** PROFILE_POWER)


def beam_columns(voxels: Voxels, stays: Sequence[Direction], beams: int) -> np.ndarray:
    """Share of each beam in the dose, (beams, n)."""
    owner = np.array([stay.beam for stay in stays])
    return np.stack([voxels.shares[owner == k].sum(axis=0) for k in range(beams)])


def couch_in_phantom(voxels: Voxels, stays: Sequence[Direction], patient: Patient) -> np.ndarray | None:
    """Attenuation by what lies outside BODY, over that on a usual path through it, (n,); None without any."""
    outside = (patient.body <= 0.0) & (patient.density > NOT_AIR)
    if not outside.any():
        return None
    couch = np.where(outside, patient.density, 0.0)
    paths = np.stack([ray_integrals(d, patient.grid, [couch], voxels.points)[0] for d in stays])
    passing = (paths > 0.05) & (voxels.shares > 0.05)
    if not passing.any():
        return None
    return -voxels.mean(paths) / float(np.median(paths[passing]))


def couch_below(
    voxels: Voxels, stays: Sequence[Direction], plan: Plan, patient: Patient
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Attenuation by a flat couch just beneath BODY, and the beams that it meets.

    The attenuation (n,) is negative and relative to that at normal incidence.
    """
    across, _, up = TABLE_TO_PATIENT[plan.patient_position].T
    index = np.argwhere(patient.body > 0.5)
    inside = (np.array(patient.grid.origin) + index * np.array(patient.grid.spacing))[:, ::-1]
    height, lateral = inside @ up, inside @ across
    surface, middle = height.min(), 0.5 * (lateral.min() + lateral.max())
    thickness = np.zeros_like(voxels.shares)
    met = set()
    for k, stay in enumerate(stays):
        ray = voxels.points - stay.source
        rise = ray @ up
        below = surface - stay.source @ up
        if below <= 0.0:
            continue  # the source is above the table top
        reached = below / np.maximum(rise, 1e-6)
        place = (stay.source + reached[:, None] * ray) @ across
        crosses = (rise > below) & (np.abs(place - middle) <= 0.5 * COUCH_WIDTH)
        oblique = np.minimum(np.linalg.norm(ray, axis=1) / np.maximum(rise, 1e-6), MAX_OBLIQUE)
        thickness[k] = np.where(crosses, oblique, 0.0)
        if np.count_nonzero(crosses & (voxels.shares[k] > 0.2)):
            met.add(stay.beam)
    return -voxels.mean(thickness), tuple(sorted(met))


def region_columns(
    regions: Sequence[Region], voxels: Voxels, stays: Sequence[Direction], patient: Patient
) -> list[RegionColumns]:
    """The effects of all regions; rays are traced once."""
    maps = [r.fraction if r.change is None else r.fraction * r.change for r in regions]
    total = np.zeros((len(maps), len(voxels.points)))
    for stay, share in zip(stays, voxels.shares, strict=True):
        total += share * ray_integrals(stay, patient.grid, maps, voxels.points)
    found = []
    for region, length in zip(regions, total, strict=True):
        path = -voxels.attenuation * length
        inside = voxels.sample(patient.grid, region.fraction) >= 0.5
        far = np.abs(path) >= FAR * np.abs(path).max(initial=0.0)
        found.append(RegionColumns(path, inside, far & ~inside))
    return found
