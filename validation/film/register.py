"""Automatic registration of a film's dose to a plane: correlation over all shifts, then least squares.

The coarse search takes the greatest normalised cross-correlation of masked images over all shifts and a row
of angles (Padfield, IEEE Trans Image Process 21 (2012) 2706, eq. 12). From there shift, angle and a common
factor are those of least squares between the film's dose and the plane's (Gauss-Newton; steep gradients
carry the information), with outliers weighted down after Huber. Sigma comes from a jackknife over blocks of
the film, so that neither correlated noise nor local differences of the doses are taken for knowledge.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.fft import irfft2, next_fast_len, rfft2

from phantoms.errors import InputError
from validation.film.dose import FilmDose
from validation.film.placement import TURNS, Placement, Registration
from validation.film.plane import Plane

MAX_ANGLE_DEG = 5.0  # that the film may be turned besides quarter turns
ANGLE_STEP_DEG = 1.0
STRAIGHT_DEG = (
    2.0  # one sigma of how films lie, which decides only where the dose does not, as of round fields
)
STRAIGHTER = 2e-4  # correlation that a degree must gain
COARSE_MM = 1.0  # spacing of the coarse search, at least
COARSE_POINTS = 160  # a side, at most
OVERLAP = 0.5  # of the largest possible: shifts with less are not looked at
MAX_PIXELS = 120_000  # in the least squares
STEPS = 60
HUBER = 2.0  # sigmas
FLOOR = 0.01  # of the largest dose, by which doses may differ anyway
BLOCKS = 8  # a side, of the jackknife
POOR = 0.9  # correlation below which a registration is doubtful
UNSURE_MM = 0.5
LOST_MM = 2.0  # sigma of the place above which a registration has failed: the usual distance of gamma
ROUGH_POINTS, ROUGH_ANGLES_DEG = 64, (-4.0, -2.0, 0.0, 2.0, 4.0)  # of the look at other orientations
BETTER = 0.6  # of what a correlation lacks to 1: another orientation that lacks less is suspected


def register(
    film: FilmDose, plane: Plane, start: Placement, max_angle_deg: float = MAX_ANGLE_DEG
) -> Registration:
    """Find where the film lies, turned and mirrored as `start` says.

    It has failed where film and plane do not agree there, agree better with the film laid otherwise, or leave
    its place open.

    Raises
    ------
    InputError
        If film and plane have nothing in common to go by.
    """
    angles = np.arange(-max_angle_deg, max_angle_deg + 1e-9, ANGLE_STEP_DEG)
    coarse, _ = coarse_search(film, plane, start, angles)
    warnings = []
    other = _other_orientation(film, plane, start)
    if other is not None:
        text = f"--turn {other.turn}" + (" --mirror" if other.mirror else "")
        warnings.append(f"the film fits better with {text}: was it laid on the scanner that way?")
    placement, factor, sigma = refine(film, plane, coarse)
    found = assess(film, plane, placement, "automatic", factor, sigma)
    warnings += found.warnings
    lost = other is not None or not found.correlation >= POOR or not max(found.sigma_mm) <= LOST_MM
    return replace(found, warnings=tuple(warnings), failed=warnings[0] if lost else "")


def assess(
    film: FilmDose,
    plane: Plane,
    placement: Placement,
    method: str,
    factor: float,
    sigma: np.ndarray,
    residual_mm: float = np.nan,
    check: Placement | None = None,
) -> Registration:
    """A registration with its correlation and warnings."""
    u, v = placement.to_plane(film.x_mm[None, :], film.y_mm[:, None])
    there = plane.sample(u, v)
    both = film.known & np.isfinite(there)
    if not both.any():
        raise InputError(
            "registration", "the film lies outside the plane", "see the film's and the plane's extent"
        )
    one, other = film.dose[both], there[both]
    spread = one.std() * other.std()
    correlation = (
        float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 0.0 else np.nan
    )
    warnings = []
    if not correlation >= POOR:
        warnings.append(
            f"film and plane hardly agree (correlation {correlation:.2f}): look at the registration"
        )
    if max(sigma[0], sigma[1]) > UNSURE_MM:
        warnings.append(f"the film's place is only known to {max(sigma[0], sigma[1]):.1f} mm (one sigma)")
    return Registration(
        placement,
        method,
        (float(sigma[0]), float(sigma[1])),
        float(sigma[2]),
        residual_mm,
        correlation,
        factor,
        check,
        tuple(warnings),
    )


def coarse_search(
    film: FilmDose, plane: Plane, start: Placement, angles: np.ndarray, points: int = COARSE_POINTS
) -> tuple[Placement, float]:
    """The placement of greatest correlation over all shifts and these angles [deg], and that correlation."""
    extents = (np.ptp(film.x_mm), np.ptp(film.y_mm), np.ptp(plane.u_mm), np.ptp(plane.v_mm))
    step = max(COARSE_MM, max(extents) / points)
    u, v = (np.arange(axis[0], axis[-1] + 1e-6, step) for axis in (plane.u_mm, plane.v_mm))
    fixed = plane.sample(u[None, :], v[:, None])
    known = np.isfinite(fixed).astype(float)
    # film averaged over the step's width, so that its noise counts for little
    width = [max(1, round(step / pitch)) for pitch in film.pitch_mm]
    weight = ndimage.uniform_filter(film.known.astype(float), width, mode="constant")
    mean = ndimage.uniform_filter(np.where(film.known, film.dose, 0.0), width, mode="constant")
    mean = mean / np.maximum(weight, 1e-9)
    reach = 0.5 * np.hypot(extents[0], extents[1]) + step
    offsets = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    best = (-np.inf, start)
    for angle in angles:
        placement = replace(start, centre_mm=(0.0, 0.0), angle_deg=float(angle))
        x, y = placement.to_film(offsets[None, :], offsets[:, None])
        place = [(y - film.y_mm[0]) / film.pitch_mm[0], (x - film.x_mm[0]) / film.pitch_mm[1]]
        inside = ndimage.map_coordinates(weight, place, order=0, mode="constant") > 0.5
        moving = ndimage.map_coordinates(mean, place, order=1, mode="constant")
        value, row, column = _correlate(fixed, known, moving, inside.astype(float))
        value -= STRAIGHTER * abs(angle)
        if value > best[0]:
            centre = u[0] + column * step - offsets[0], v[0] + row * step - offsets[0]
            best = value, replace(placement, centre_mm=(float(centre[0]), float(centre[1])))
    if not np.isfinite(best[0]):
        raise InputError(
            "registration",
            "film and plane have no structure in common to go by",
            "place the film by --mark or --place",
        )
    return best[1], best[0]


def refine(film: FilmDose, plane: Plane, start: Placement) -> tuple[Placement, float, np.ndarray]:
    """Least squares from a placement close by: placement, factor of the plane, sigmas of (u, v, angle)."""
    rows, columns = np.nonzero(film.known)
    stride = max(1, rows.size // MAX_PIXELS)
    rows, columns = rows[::stride], columns[::stride]
    x, y, dose = film.x_mm[columns], film.y_mm[rows], film.dose[rows, columns]
    sigma = np.hypot(film.sigma[rows, columns], FLOOR * plane.dose.max())
    block = (BLOCKS * rows // film.dose.shape[0]) * BLOCKS + BLOCKS * columns // film.dose.shape[1]
    placement, factor = start, 1.0
    prior = np.diag([0.0, 0.0, np.radians(STRAIGHT_DEG) ** -2, 0.0])
    for _ in range(STEPS):
        residual, jacobian, weight, inside = _linearised(film, plane, placement, factor, x, y, dose, sigma)
        matrix = jacobian.T @ (weight[:, None] * jacobian) + prior
        if np.linalg.cond(matrix * np.outer(*2 * [1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-30))])) > 1e10:
            raise InputError(
                "registration",
                "the dose has too little gradient to find the film's place",
                "use --mark or --place",
            )
        pull = jacobian.T @ (weight * residual)
        pull[2] -= prior[2, 2] * np.radians(placement.angle_deg)
        step = np.linalg.solve(matrix, pull)
        length = max(np.hypot(step[0], step[1]) / 2.0, abs(step[2]) / 0.02, 1.0)
        step /= length  # at most 2 mm and 0.02 rad at once
        placement = replace(
            placement,
            centre_mm=(placement.centre_mm[0] + step[0], placement.centre_mm[1] + step[1]),
            angle_deg=placement.angle_deg + float(np.degrees(step[2])),
        )
        factor += step[3]
        if np.abs(step * [1.0, 1.0, 100.0, 10.0]).max() < 1e-4:
            break
    residual, jacobian, weight, inside = _linearised(film, plane, placement, factor, x, y, dose, sigma)
    spread = _jackknife(residual, jacobian, weight, block[inside], prior)
    spread[2] = np.degrees(spread[2])
    clean = replace(placement, centre_mm=(float(placement.centre_mm[0]), float(placement.centre_mm[1])))
    return clean, float(factor), spread


def _linearised(
    film: FilmDose,
    plane: Plane,
    placement: Placement,
    factor: float,
    x: np.ndarray,
    y: np.ndarray,
    dose: np.ndarray,
    sigma: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Residuals, derivatives of the model by (u, v, angle, factor), weights, and which pixels they are of."""
    u, v = placement.to_plane(x, y)
    inside = plane.covers(u, v)
    if np.count_nonzero(inside) < 100:
        raise InputError("registration", "film and plane overlap in fewer than 100 pixels")
    u, v, x, y = u[inside], v[inside], x[inside], y[inside]
    there = plane.sample(u, v)
    by_u, by_v = plane.gradient(u, v)
    m = placement.by_angle
    by_angle = by_u * (m[0, 0] * x + m[0, 1] * y) + by_v * (m[1, 0] * x + m[1, 1] * y)
    jacobian = np.column_stack([factor * by_u, factor * by_v, factor * by_angle, there])
    residual = dose[inside] - factor * there
    ratio = np.abs(residual) / sigma[inside]
    scale = max(1.4826 * float(np.median(ratio)), 1e-9)
    weight = np.minimum(1.0, HUBER * scale / np.maximum(ratio, 1e-12)) / sigma[inside] ** 2
    return residual, jacobian, weight, inside


def _jackknife(
    residual: np.ndarray, jacobian: np.ndarray, weight: np.ndarray, block: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """One sigma of (u, v, angle) by leaving out one block of pixels after the other (one step of each)."""
    names, index = np.unique(block, return_inverse=True)
    matrices = np.zeros((names.size, 4, 4))
    vectors = np.zeros((names.size, 4))
    for k in range(names.size):
        own = index == k
        weighted = weight[own][:, None] * jacobian[own]
        matrices[k], vectors[k] = jacobian[own].T @ weighted, weighted.T @ residual[own]
    whole, total = matrices.sum(axis=0) + prior, vectors.sum(axis=0)
    steps = np.array([np.linalg.solve(whole - m, total - g) for m, g in zip(matrices, vectors, strict=True)])
    count = names.size
    return np.sqrt((count - 1) / count * np.square(steps - steps.mean(axis=0)).sum(axis=0))[:3]


def _correlate(
    fixed: np.ndarray, fixed_mask: np.ndarray, moving: np.ndarray, moving_mask: np.ndarray
) -> tuple[float, int, int]:
    """Greatest correlation over all shifts, and where the middle of `moving` lies then, from that of index 0.

    Returns
    -------
    value : float
        -inf where nothing overlaps with any structure.
    row, column : int
        Row and column of `fixed` under the first row and column of `moving`; may be negative.
    """
    shape = [next_fast_len(a + b - 1, real=True) for a, b in zip(fixed.shape, moving.shape, strict=True)]

    def spectra(image: np.ndarray, mask: np.ndarray, flip: bool) -> list[np.ndarray]:
        clean = np.where(mask > 0.0, image, 0.0)
        parts = [mask, clean * mask, clean**2 * mask]
        return [rfft2(part[::-1, ::-1] if flip else part, shape) for part in parts]

    m1, f1, q1 = spectra(fixed, fixed_mask, flip=False)
    m2, f2, q2 = spectra(moving, moving_mask, flip=True)
    count, sum1, sum2, cross, square1, square2 = (
        irfft2(a * b, shape) for a, b in ((m1, m2), (f1, m2), (m1, f2), (f1, f2), (q1, m2), (m1, q2))
    )
    count = np.rint(count)
    enough = count >= max(OVERLAP * count.max(), 25.0)
    safe = np.maximum(count, 1.0)
    spread1, spread2 = square1 - sum1**2 / safe, square2 - sum2**2 / safe
    least = 1e-6 * max(square1.max(), 1e-300), 1e-6 * max(square2.max(), 1e-300)
    good = enough & (spread1 > least[0]) & (spread2 > least[1])
    if not good.any():
        return -np.inf, 0, 0
    value = np.full(count.shape, -np.inf)
    value[good] = (cross - sum1 * sum2 / safe)[good] / np.sqrt(spread1[good] * spread2[good])
    row, column = np.unravel_index(value.argmax(), value.shape)
    return float(value.max()), int(row) - (moving.shape[0] - 1), int(column) - (moving.shape[1] - 1)


def _other_orientation(film: FilmDose, plane: Plane, start: Placement) -> Placement | None:
    """Another way to lay the film that fits clearly better."""
    angles, found = np.array(ROUGH_ANGLES_DEG), None
    least = BETTER * (1.0 - coarse_search(film, plane, start, angles, ROUGH_POINTS)[1])
    for mirror in (False, True):
        for turn in TURNS:
            if (turn, mirror) == (start.turn, start.mirror):
                continue
            try:
                other = replace(start, turn=turn, mirror=mirror)
                placement, value = coarse_search(film, plane, other, angles, ROUGH_POINTS)
            except InputError:
                continue
            if 1.0 - value < least:
                found, least = placement, 1.0 - value
    return found
