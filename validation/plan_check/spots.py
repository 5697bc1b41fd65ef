"""Dose differences in regions and at the isocentre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mc.dose import Dose
from phantoms.grid import Grid
from phantoms.subvoxels import box_of
from validation.metrics.noise import Box, Noise
from validation.metrics.statistics import systematic_difference
from validation.plan_check.points import ReferencePoint
from validation.rtdose import PlannedDose

HIGH, LOW = 0.5, 0.1  # of the plan's maximum: the high-dose region, and the region below it
RADIUS = 0.5  # of the sphere a point dose is averaged over [cm]: no verdict on single voxels (TG-105)
FLAT = 0.05  # largest standard deviation of the plan's dose in the sphere, of its mean, for an MU check


@dataclass(frozen=True)
class RegionDifference:
    """Mean difference in a region, in percent of the plan's maximum.

    Parameters
    ----------
    region : str
    voxels : int
    mean_percent, sigma_percent : float
        Monte Carlo less plan, and one sigma of it, transport and latent together.
    unexplained_percent : float
        Root mean square difference that transport sigma does not explain.
    """

    region: str
    voxels: int
    mean_percent: float
    sigma_percent: float
    unexplained_percent: float


@dataclass(frozen=True)
class PointDose:
    """Both doses in a sphere about a point, and the monitor units that follow.

    Parameters
    ----------
    name : str
        What the point is.
    position_mm : (float, float, float)
        LPS (x, y, z).
    radius_mm : float
    voxels : int
        With their centre in the sphere and in BODY.
    plan_gy, mc_gy, mc_sigma_gy : float or None
        Means over those voxels, and one sigma, transport and latent together; None without any.
    mu_factor, mu_factor_sigma : float or None
        MU'/MU = D_plan / D_MC: by what the plan's monitor units would have to change for Monte Carlo to
        give the plan's dose here. None where the dose is too low or too steep to say so.
    note : str
    """

    name: str
    position_mm: tuple[float, float, float]
    radius_mm: float
    voxels: int
    plan_gy: float | None = None
    mc_gy: float | None = None
    mc_sigma_gy: float | None = None
    mu_factor: float | None = None
    mu_factor_sigma: float | None = None
    note: str = ""


def region_differences(
    planned_dose: PlannedDose, dose: Dose, body: np.ndarray, noise: Noise
) -> tuple[RegionDifference, ...]:
    """Differences within BODY, above and below half of the plan's maximum.

    Parameters
    ----------
    planned_dose : PlannedDose
    dose : Dose
        The Monte Carlo dose, on the same grid.
    body : (nz, ny, nx) bool
    noise : Noise
        Of `dose`.
    """
    plan = planned_dose.dose
    top = float(plan.max())
    high = body & (plan >= HIGH * top)
    low = body & (plan >= LOW * top) & ~high
    differences = []
    for name, region in (
        (f"at least {100 * HIGH:g} % of the plan's maximum", high),
        (f"{100 * LOW:g} to {100 * HIGH:g} % of the plan's maximum", low),
    ):
        region = region & (dose.sigma > 0)  # voxels that Monte Carlo never reached have no statistics
        if not region.any():
            continue
        found = systematic_difference(dose.mean, dose.sigma, plan, np.zeros_like(plan), region)
        sigma = 100.0 * noise.sigma_of_mean(*in_box(dose.mean, region)) / top
        differences.append(
            RegionDifference(name, found.voxels, found.mean_percent, sigma, found.excess_percent)
        )
    return tuple(differences)


def in_box(dose: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray, Box]:
    """A dose and the voxels of a region within the box around it, and the box."""
    box = box_of(region)
    return dose[box], region[box].astype(float), box


def point_dose(
    point: ReferencePoint, planned_dose: PlannedDose, dose: Dose, body: np.ndarray, noise: Noise
) -> PointDose:
    """Both doses about a point, averaged over a sphere of `RADIUS`; `noise` is that of `dose`."""
    place, radius = tuple(10 * c for c in point.position), 10 * RADIUS
    near = sphere(planned_dose.grid, point.position, RADIUS) & body
    count = int(np.count_nonzero(near))
    if count == 0:
        return PointDose(point.name, place, radius, 0, note="lies outside the dose grid or outside BODY")
    planned, found = planned_dose.dose[near], dose.mean[near]
    mean, mc_mean = float(planned.mean()), float(found.mean())
    mc_sigma = noise.sigma_of_mean(*in_box(dose.mean, near))
    values = (point.name, place, radius, count, mean, mc_mean, mc_sigma)
    if not (mean >= HIGH * planned_dose.dose.max() and mc_mean > 0):
        return PointDose(*values, note="dose too low for a monitor unit check")
    if planned.std() > FLAT * mean:
        return PointDose(*values, note="dose too steep for a monitor unit check")
    factor = mean / mc_mean
    return PointDose(*values, mu_factor=factor, mu_factor_sigma=factor * mc_sigma / mc_mean)


def sphere(grid: Grid, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Voxels with their centre within `radius` [cm] of `centre` (x, y, z) [cm], (nz, ny, nx) bool.

    At least the voxel that holds `centre`, if any.
    """
    z, y, x = (grid.centres(axis) - c for axis, c in enumerate(centre[::-1]))
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2
    nearest = np.rint(grid.index(np.array(centre[::-1]))).astype(int)
    if all(0 <= i < n for i, n in zip(nearest, grid.shape, strict=True)):
        inside[tuple(nearest)] = True
    return inside
