"""The voxels a diagnosis looks at, and what each direction of a plan contributes to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from mc.covariance import Covariance
from mc.dose import Dose
from mc.plan.plan import Plan
from phantoms.grid import Grid
from phantoms.phantom import Phantom
from phantoms.polygons import mask_by_centre, volume_fraction
from phantoms.structures import ROI
from validation.diagnosis.directions import Direction, directions
from validation.diagnosis.rays import beam_coordinates, ray_integrals
from validation.metrics.noise import Noise

COARSE = 0.25  # voxels are averaged to about this size [cm]
MIN_DOSE = 0.1  # of the plan's maximum
ABOUT = 4.0  # around it, as far as doses may be displaced [cm]
MIN_DENSITY = 0.2  # in air and lung's gas the two doses need not agree [g/cm3]
MAX_VOXELS = 80_000  # that are looked at: of more, every second, third ...
# where the fall of dose with depth is read: in fields so open, from so many voxels that spread so far [g/cm2]
OPEN, MIN_SEEN, MIN_SPREAD = 0.8, 200, 2.0
MIN_ATTENUATION = 0.6  # of that of primary photons
BUILD_UP = 2.0  # radiological depth from which voxels are looked at [cm]
BUNDLE = 1.0  # width of bundles of rays within which residuals may be correlated [cm] ...
BUNDLES = 5  # ... less where there would not be so many across a field
MODEL = 0.01  # by which two good dose calculations differ locally
BLUR = 0.05  # and by which their edges are apart [cm]
# Attenuation of water at a third of the nominal energy, about the mean of the spectrum: NIST XCOM.
ENERGIES = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)  # [MeV]
ATTENUATION = (0.0707, 0.0632, 0.0575, 0.0494, 0.0397, 0.0340, 0.0303, 0.0277, 0.0243)  # [cm2/g]


@dataclass(frozen=True, eq=False)
class Doses:
    """Both doses on one coarse grid.

    Parameters
    ----------
    grid : Grid
    plan, mc, sigma : (nz, ny, nx) float64
        [Gy]
    inside : (nz, ny, nx) bool
        Voxels wholly in BODY.
    deviations : (n, nz, ny, nx) float32
        Of the covariance of `mc`, transport and latent, enlarged by its `factor`
        (`mc.covariance.Covariance`); none where that is unknown.
    common : float
        Relative sigma that all voxels of `mc` share beside it.
    """

    grid: Grid
    plan: np.ndarray
    mc: np.ndarray
    sigma: np.ndarray
    inside: np.ndarray
    deviations: np.ndarray
    common: float


def coarse_doses(plan: np.ndarray, dose: Dose, body: np.ndarray, covariance: Covariance | None) -> Doses:
    """Average both doses over blocks of voxels, about `COARSE` wide, where they are looked at.

    Parameters
    ----------
    plan : (nz, ny, nx) float64
        [Gy]
    dose : Dose
        Of Monte Carlo, on the same grid.
    body : (nz, ny, nx) bool
    covariance : Covariance, optional
        Of `dose`, where it matters.
    """
    grid, mc, sigma = dose.grid, dose.mean, dose.sigma
    by = factors(grid)
    part, box = _about_the_dose(plan, grid, by)
    count = int(np.prod(by))
    maps = [] if covariance is None else covariance.maps(grid, box)
    factor = 1.0 if covariance is None else covariance.factor
    deviations = [(factor * averaged(values, by)).astype(np.float32) for values in maps]
    coarse = coarser(part, by)
    return Doses(
        coarse,
        averaged(plan[box], by),
        averaged(mc[box], by),
        np.sqrt(averaged(sigma[box] ** 2, by) / count),
        averaged(body[box], by) > 1.0 - 1e-6,
        np.array(deviations, np.float32).reshape(-1, *coarse.shape),
        _common(dose, covariance),
    )


def _common(dose: Dose, covariance: Covariance | None) -> float:
    """Relative sigma that all voxels share: of the calibration, and latent where there is no covariance."""
    common = Noise.of(dose).common
    if covariance is not None:
        return common
    return math.hypot(common, float(dose.provenance.get("latent_uncertainty") or 0.0))


def _about_the_dose(plan: np.ndarray, grid: Grid, by: Sequence[int]) -> tuple[Grid, tuple[slice, ...]]:
    """The part of a grid within `ABOUT` of `MIN_DOSE`, from the same blocks of voxels as the whole."""
    high, box = plan >= MIN_DOSE * plan.max(), []
    for axis, (n, k, d) in enumerate(zip(grid.shape, by, grid.spacing, strict=True)):
        hit = np.flatnonzero(high.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int(np.ceil(ABOUT / d))
        first, last = max(0, hit[0] - margin) // k * k, -(-min(n, hit[-1] + 1 + margin) // k) * k
        box.append(slice(int(first), int(min(n, last))))
    origin = tuple(grid.centres(axis)[part.start] for axis, part in enumerate(box))
    return Grid(tuple(part.stop - part.start for part in box), grid.spacing, origin), tuple(box)


def factors(grid: Grid) -> tuple[int, int, int]:
    """How many voxels along each axis make a coarse one."""
    return tuple(min(n, max(1, round(COARSE / d))) for n, d in zip(grid.shape, grid.spacing, strict=True))


def coarser(grid: Grid, by: Sequence[int]) -> Grid:
    """The grid of blocks of voxels; those that are left over at the upper ends are not on it."""
    spacing = np.array(grid.spacing) * by
    return Grid(
        tuple(n // k for n, k in zip(grid.shape, by, strict=True)),
        tuple(spacing),
        tuple(grid.lower + 0.5 * spacing),
    )


def averaged(values: np.ndarray, by: Sequence[int]) -> np.ndarray:
    """Mean over blocks of voxels, float64."""
    shape = [n // k for n, k in zip(values.shape, by, strict=True)]
    kept = values[tuple(slice(0, n * k) for n, k in zip(shape, by, strict=True))]
    blocks = kept.reshape(shape[0], by[0], shape[1], by[1], shape[2], by[2])
    return blocks.mean(axis=(1, 3, 5), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Patient:
    """The phantom on a coarse grid.

    Parameters
    ----------
    grid : Grid
    density : (nz, ny, nx) float64
        [g/cm3]
    body : (nz, ny, nx) float64
        Fraction of each voxel in BODY.
    """

    grid: Grid
    density: np.ndarray
    body: np.ndarray


def coarse_grid(phantom: Phantom) -> Grid:
    """The coarse grid of a phantom."""
    return coarser(phantom.grid, factors(phantom.grid))


def coarse_patient(phantom: Phantom, body: np.ndarray) -> Patient:
    """A phantom on its `coarse_grid`, where `body` is the fraction in BODY."""
    return Patient(coarse_grid(phantom), averaged(phantom.density, factors(phantom.grid)), body)


@dataclass(frozen=True, eq=False)
class Voxels:
    """The voxels that are fitted, flat.

    Parameters
    ----------
    points : (n, 3) float64
        LPS (x, y, z) [cm].
    chosen : (nz, ny, nx) bool
        Where they lie on the doses' grid.
    shares : (directions, n) float64
        Of each direction in a voxel's dose; they sum to 1.
    depths : (directions, n) float64
        Radiological depth [g/cm2].
    off_axis : (directions, n) float64
        Distance from the beam axis, in the isocentre plane [cm].
    steepness : (n, 3) float64
        Relative fall of the dose with radiological depth alone, along LPS x, y, z [1/cm].
    blocks : (n,) int
        Number of the bundle of rays that holds it: of the direction that gives it most dose.
    attenuation : float
        [cm2/g]
    """

    points: np.ndarray
    chosen: np.ndarray
    shares: np.ndarray
    depths: np.ndarray
    off_axis: np.ndarray
    steepness: np.ndarray
    blocks: np.ndarray
    attenuation: float

    def mean(self, by_direction: np.ndarray) -> np.ndarray:
        """A quantity of each direction (directions, n), averaged over what they contribute, (n,)."""
        return np.einsum("dn,dn->n", self.shares, by_direction)

    def sample(self, grid: Grid, values: np.ndarray) -> np.ndarray:
        """A map at the voxels, by linear interpolation."""
        return map_coordinates(values, grid.index(self.points[:, ::-1]).T, order=1, mode="nearest")


def choose_voxels(doses: Doses, patient: Patient, stays: Sequence[Direction], energy: float) -> Voxels | None:
    """Voxels with dose, in the body, below the build-up; None if there are none.

    Parameters
    ----------
    doses : Doses
    patient : Patient
    stays : sequence of Direction
    energy : float
        Nominal beam energy [MV].
    """
    chosen = doses.inside & (doses.plan >= MIN_DOSE * doses.plan.max()) & (doses.sigma > 0)
    index = np.argwhere(chosen)
    if not len(index):
        return None
    every = math.ceil(len(index) / MAX_VOXELS)
    index = index[every // 2 :: every]
    chosen = np.zeros_like(chosen)
    chosen[tuple(index.T)] = True
    points = (np.array(doses.grid.origin) + index * np.array(doses.grid.spacing))[:, ::-1]
    depths = np.stack([ray_integrals(d, patient.grid, [patient.density], points)[0] for d in stays])
    attenuation = _effective_attenuation(doses.mc[tuple(index.T)], stays, points, depths, energy)
    shares = primaries(stays, points, depths, attenuation)
    shares /= np.maximum(shares.sum(axis=0), 1e-300)
    density = map_coordinates(patient.density, patient.grid.index(points[:, ::-1]).T, order=1, mode="nearest")
    kept = (np.einsum("dn,dn->n", shares, depths) >= BUILD_UP) & (density >= MIN_DENSITY)
    if not kept.any():
        return None
    chosen[tuple(index[~kept].T)] = False
    shares, depths = shares[:, kept], depths[:, kept]
    off_axis = np.stack([np.hypot(*beam_coordinates(stay, points[kept])[:2]) for stay in stays])
    along = np.stack([stay.rotation[:, 2] for stay in stays])
    steepness = attenuation * density[kept, None] * (shares.T @ along)
    _, blocks = np.unique(_bundles(stays, points[kept], shares), axis=0, return_inverse=True)
    return Voxels(points[kept], chosen, shares, depths, off_axis, steepness, blocks.reshape(-1), attenuation)


def _bundles(stays: Sequence[Direction], points: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Main direction of each point and the cell of its opening, (n, 3).

    The histories of a phase space, and what lies in the way of a ray, leave their mark all along the rays.
    """
    main = shares.argmax(axis=0)
    cells = np.empty((len(points), 3), int)
    for k, stay in enumerate(stays):
        mine = main == k
        u, v, _ = beam_coordinates(stay, points[mine])
        width = min(BUNDLE, stay.width / BUNDLES)
        cells[mine] = np.stack([np.full(len(u), k), np.floor(u / width), np.floor(v / width)], axis=1)
    return cells


def attenuation_of(energy: float) -> float:
    """Attenuation of primary photons in water, by the nominal energy [MV], [cm2/g]."""
    return float(np.interp(energy / 3.0, ENERGIES, ATTENUATION))


def effective_attenuation(dose: Dose, phantom: Phantom, outline: ROI, plan: Plan) -> float:
    """How steeply a plan's dose falls with depth in its open fields [cm2/g]."""
    doses = coarse_doses(dose.mean, dose, mask_by_centre(outline, dose.grid), None)
    patient = coarse_patient(phantom, volume_fraction(outline, coarse_grid(phantom)))
    voxels = choose_voxels(doses, patient, directions(plan), mean_energy(plan))
    return attenuation_of(mean_energy(plan)) if voxels is None else voxels.attenuation


def mean_energy(plan: Plan) -> float:
    """Nominal energy of the beams [MV]."""
    return float(np.mean([beam.energy for beam in plan.beams]))


def _effective_attenuation(
    dose: np.ndarray, stays: Sequence[Direction], points: np.ndarray, depths: np.ndarray, energy: float
) -> float:
    """How steeply the dose in the open fields falls with depth, less than primary photons [cm2/g]."""
    primary = attenuation_of(energy)
    parts = primaries(stays, points, depths, primary)
    total = np.maximum(parts.sum(axis=0), 1e-300)
    mean = np.sum(parts * depths, axis=0) / total
    opened = (
        np.sum([part * opening_at(d, points) for d, part in zip(stays, parts, strict=True)], axis=0) / total
    )
    seen = (opened > OPEN) & (mean > BUILD_UP) & (dose > 0.0)
    if np.count_nonzero(seen) < MIN_SEEN or np.std(mean[seen]) < MIN_SPREAD:
        return primary
    # the slope of what the primaries leave over, by Monte Carlo
    rest = np.log(dose[seen] / total[seen])
    slope = np.polyfit(mean[seen], rest, 1, w=np.sqrt(dose[seen]))[0]
    return float(np.clip(primary - slope, MIN_ATTENUATION * primary, primary))


def primaries(
    stays: Sequence[Direction], points: np.ndarray, depths: np.ndarray, attenuation: float
) -> np.ndarray:
    """`primary` of all directions, (directions, n)."""
    return np.stack([primary(d, points, t, attenuation) for d, t in zip(stays, depths, strict=True)])


def primary(direction: Direction, points: np.ndarray, depth: np.ndarray, attenuation: float) -> np.ndarray:
    """Dose of the primary photons of a direction, in any unit, (n,)."""
    distance = beam_coordinates(direction, points)[2]
    inverse_square = (direction.sad / np.maximum(distance, 1.0)) ** 2
    fluence = direction.weight * opening_at(direction, points) * inverse_square
    return fluence * np.exp(-attenuation * depth)


def opening_at(direction: Direction, points: np.ndarray) -> np.ndarray:
    """How open the field is where the rays to points (n, 3), LPS [cm], pass it, (n,)."""
    u, v, _ = beam_coordinates(direction, points)
    at = [
        (values - axis[0]) / (axis[1] - axis[0]) if len(axis) > 1 else np.zeros(len(values))
        for values, axis in ((v, direction.v), (u, direction.u))
    ]
    return map_coordinates(direction.opening, at, order=1, mode="nearest")
