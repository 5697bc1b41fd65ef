"""A film's dose against a plane of a dose: difference, gamma in the plane, profiles, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import ndimage

from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.film.dose import FilmDose
from validation.film.placement import Registration
from validation.film.plane import Plane
from validation.metrics.gamma import THICK_CM, Criterion, GammaMap, gamma, thick
from validation.metrics.numbers import plain

PASS, FAIL, NOT_JUDGED, NO_VERDICT = "pass", "fail", "not judged", "no verdict"
MAX_MISSING = 0.02  # share of the region that gamma looks at without a dose on the film
HIGH = 0.8  # share of the maximum above which dose is high
SMOOTH_MM = 2.0  # within which the plane's dose is averaged to find where the profiles cross
FILM, PLANE = "film", "plane"


@dataclass(frozen=True, eq=False)
class Profile:
    """Both doses along a line of the plane.

    Parameters
    ----------
    axis : str
        Name of the coordinate along the line.
    position_mm : (n,) float64
        That coordinate.
    film, sigma, plane : (n,) float64
        [Gy]; NaN where not known.
    """

    axis: str
    position_mm: np.ndarray
    film: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    plane: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class FilmComparison:
    """A film judged against a plane.

    Parameters
    ----------
    film : FilmDose
    plane : Plane
    registration : Registration
    there : (rows, columns) float64
        The plane's dose on the film's pixels [Gy]; NaN where it is not known.
    normalisation : float
        Largest dose of the plane on the film [Gy].
    gammas : tuple of GammaMap
        On the film's pixels, one for each criterion; the first is judged.
    reference : str
        `plane` or `film`: which is gamma's reference.
    tolerance : float
        Passing rate needed [%].
    missing : float
        Share of the region above the threshold in which the film has no dose.
    crossing_mm : (float, float)
        u and v where the profiles cross.
    profiles : (Profile, Profile)
        Along u and along v.
    status : {'pass', 'fail', 'not judged', 'no verdict'}
        No verdict where the registration failed.
    warnings : tuple of str
    """

    film: FilmDose
    plane: Plane
    registration: Registration
    there: np.ndarray = field(repr=False)
    normalisation: float
    gammas: tuple[GammaMap, ...]
    reference: str
    tolerance: float
    missing: float
    crossing_mm: tuple[float, float]
    profiles: tuple[Profile, Profile]
    status: str
    warnings: tuple[str, ...]

    @property
    def difference(self) -> np.ndarray:
        """Film less plane in percent of the normalisation, (rows, columns); NaN where either is not known."""
        return 100.0 * (self.film.dose - self.there) / self.normalisation

    def gamma(self, index: int = 0) -> np.ndarray:
        """Gamma on the film's pixels, (rows, columns); NaN where not judged."""
        return self.gammas[index].gamma[0]

    def statistics(self) -> dict[str, float]:
        """Differences where both doses are known, above the first criterion's threshold and at high dose."""
        level = 0.01 * self.gammas[0].criterion.threshold_percent * self.normalisation
        found: dict[str, float] = {}
        for name, least in (("above_threshold", level), ("high_dose", HIGH * self.normalisation)):
            chosen = self.film.known & (self.there >= least)
            difference = self.difference[chosen]
            if difference.size:
                ratio = self.film.dose[chosen] / self.there[chosen]
                found |= {
                    f"{name}_pixels": float(difference.size),
                    f"{name}_mean_percent": float(difference.mean()),
                    f"{name}_sd_percent": float(difference.std()),
                    f"{name}_median_ratio": float(np.median(ratio)),
                    f"{name}_sigma_percent": float(
                        100.0 * np.median(self.film.sigma[chosen]) / self.normalisation
                    ),
                }
        return found

    def to_dict(self) -> dict[str, Any]:
        """The comparison as strict JSON holds it."""
        film, registration, placement = self.film, self.registration, self.registration.placement
        rescaling = None
        if film.rescaling is not None:
            rescaling = {
                "strips": [{"dose_gy": s.dose_gy, "box_px": list(s.box_px)} for s in film.rescaling.strips],
                "offset": film.rescaling.offset.tolist(),
                "slope": film.rescaling.slope.tolist(),
            }
        record = {
            "schema": "mcverify film",
            "status": self.status,
            "plane": {"view": self.plane.view, "at_mm": self.plane.at_mm, "axes": list(self.plane.names)},
            "film": {
                "method": film.method,
                "pitch_mm": list(film.pitch_mm),
                "middle_in_scan_mm": list(film.corner_mm),
                "pixels": int(np.count_nonzero(film.film)),
                "known_pixels": int(np.count_nonzero(film.known)),
                "saturated_pixels": int(np.count_nonzero(film.saturated)),
                "uncovered_pixels": int(np.count_nonzero(film.uncovered)),
                "stray_pixels": int(np.count_nonzero(film.stray)),
                "largest_calibrated_gy": film.largest_gy,
                "rescaling": rescaling,
            },
            "registration": {
                "method": registration.method,
                "centre_mm": placement.centre_mm,
                "angle_deg": placement.angle_deg,
                "turn_deg": placement.turn,
                "mirror": placement.mirror,
                "film_to_plane": placement.matrix.tolist(),
                "sigma_mm": registration.sigma_mm,
                "sigma_deg": registration.sigma_deg,
                "residual_mm": registration.residual_mm,
                "correlation": registration.correlation,
                "dose_factor": registration.factor,
                "automatic": _placed(registration.check),
            },
            "normalisation_gy": self.normalisation,
            "missing_percent": 100.0 * self.missing,
            "statistics": self.statistics(),
            "gamma_reference": self.reference,
            "tolerance_percent": self.tolerance,
            "gamma": [
                {
                    "criterion": str(found.criterion),
                    "passing_percent": found.passing_rate(),
                    "pixels": found.count(),
                    "mean_gamma": float(found.values().mean()) if found.count() else None,
                    "max_gamma": float(found.values().max()) if found.count() else None,
                    "gamma_capped_at": found.max_gamma,
                }
                for found in self.gammas
            ],
            "warnings": list(self.warnings),
        }
        return plain(record)


def _placed(placement: Any) -> dict[str, Any] | None:
    if placement is None:
        return None
    return {"centre_mm": placement.centre_mm, "angle_deg": placement.angle_deg}


def compare_film(
    film: FilmDose,
    plane: Plane,
    registration: Registration,
    criteria: Sequence[Criterion],
    tolerance: float,
    reference: str = PLANE,
    crossing_mm: tuple[float, float] | None = None,
) -> FilmComparison:
    """Compare a registered film with its plane.

    Parameters
    ----------
    film, plane, registration
        See `validation.film.dose`, `plane` and `register`.
    criteria : sequence of Criterion
        One or more; the first is judged. The normalisation is the plane's largest dose on the film.
    tolerance : float
        Passing rate needed [%].
    reference : str
        `plane`: gamma is sought over the film's dose for every point of the plane; or `film`, the other way.
    crossing_mm : (float, float), optional
        Where the profiles cross; by default where the plane's dose is highest.

    Raises
    ------
    InputError
        If film and plane do not overlap, or nothing lies above the threshold.
    """
    u, v = registration.placement.to_plane(film.x_mm[None, :], film.y_mm[:, None])
    there = plane.sample(u, v)
    covered = film.film & np.isfinite(there)
    if not covered.any():
        raise InputError(
            "film", "lies wholly outside the plane", "is it the right plane, and the right place?"
        )
    normalisation = float(there[covered].max())
    if normalisation <= 0.0:
        raise InputError("plane", "has no dose where the film lies")
    level = 0.01 * criteria[0].threshold_percent * normalisation
    wanted = covered & (there >= level)
    # stray pixels are marks and dust; what is saturated or uncovered may hide a difference
    hidden = wanted & (film.saturated | film.uncovered)
    missing = np.count_nonzero(hidden) / max(np.count_nonzero(wanted), 1)
    gammas = tuple(
        _gamma(film, there, replace(criterion, normalisation=normalisation), reference)
        for criterion in criteria
    )
    if gammas[0].count() == 0:
        raise InputError(
            "film", f"has no dose above {criteria[0].threshold_percent:g} % of the plane's maximum"
        )
    warnings = [*film.warnings, *registration.warnings]
    if plane.broken is not None:
        count = np.count_nonzero(plane.broken)
        warnings.append(
            f"{count} voxels of the plane hold a dose that cannot be; what is beside them is left out"
        )
    outside = np.count_nonzero(film.film & ~covered) / np.count_nonzero(film.film)
    if outside > 0.0:
        warnings.append(f"{100.0 * outside:.2g} % of the film lies outside the plane and is not compared")
    status = PASS if gammas[0].passing_rate() >= tolerance else FAIL
    if registration.failed:
        status = NO_VERDICT
    elif status == PASS and missing > MAX_MISSING:
        status = NOT_JUDGED
        warnings.append(
            f"the film has no dose in {100.0 * missing:.0f} % of the region above the threshold, "
            "so that it cannot pass"
        )
    crossing = _crossing(there, film, u, v) if crossing_mm is None else crossing_mm
    profiles = tuple(_profile(film, plane, registration, crossing, along) for along in (0, 1))
    return FilmComparison(
        film, plane, registration, there, normalisation, gammas, reference, tolerance, missing, crossing,
        profiles, status, tuple(dict.fromkeys(warnings)),
    )  # fmt: skip


def _gamma(film: FilmDose, there: np.ndarray, criterion: Criterion, reference: str) -> GammaMap:
    """Gamma in the plane: the evaluated dose stands in two thick layers alike, the reference between them."""
    known = film.known & np.isfinite(there)
    pitch = tuple(0.1 * p for p in film.pitch_mm)
    origin = 0.1 * film.y_mm[0], 0.1 * film.x_mm[0]
    between = Grid((1, *film.dose.shape), (THICK_CM, *pitch), (0.0, *origin))
    one, other = (there, film.dose) if reference == PLANE else (film.dose, there)
    # holes are not judged; beside them the nearest dose that is known stands in for theirs
    _, nearest = ndimage.distance_transform_edt(~known, return_indices=True)
    one, other = (values[tuple(nearest)] for values in (one, other))
    layers, other = thick(between, other[None], [0])
    return gamma(one[None], between, other, layers, criterion, known[None])


def _crossing(there: np.ndarray, film: FilmDose, u: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Where the plane's dose is highest on the film."""
    size = [max(1, round(SMOOTH_MM / pitch)) for pitch in film.pitch_mm]
    known = film.known & np.isfinite(there)
    smooth = ndimage.uniform_filter(np.where(known, there, 0.0), size, mode="constant")
    place = np.unravel_index(smooth.argmax(), smooth.shape)
    return float(u[place]), float(v[place])


def _profile(
    film: FilmDose, plane: Plane, registration: Registration, crossing: tuple[float, float], along: int
) -> Profile:
    corners = [
        registration.placement.to_plane(np.array(x), np.array(y))[along]
        for x in film.x_mm[[0, -1]]
        for y in film.y_mm[[0, -1]]
    ]
    position = np.arange(min(corners), max(corners), min(film.pitch_mm))
    fixed = np.full_like(position, crossing[1 - along])
    u, v = (position, fixed) if along == 0 else (fixed, position)
    x, y = registration.placement.to_film(u, v)
    place = [(y - film.y_mm[0]) / film.pitch_mm[0], (x - film.x_mm[0]) / film.pitch_mm[1]]
    values, sigma = (
        ndimage.map_coordinates(image, place, order=1, mode="constant", cval=np.nan)
        for image in (film.dose, film.sigma)
    )
    return Profile(plane.names[along], position, values, sigma, plane.sample(u, v))
