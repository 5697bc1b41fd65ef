"""A measured scan against a computed curve: dose difference, distance to agreement, gamma.

Both are brought to one scale at the same place and in the same way: a depth dose at 10 cm, by a fit over 5 to
15 cm, a profile by its mean over the central 60 % of the field. A scale found from few points would spread
its noise to all. Reported are percent of the measured maximum of a depth dose, and of the measured dose
on the axis of a profile. What remains to be judged is shape; output factors judge the rest.

The measured points are the reference of gamma and the computed curve is evaluated, so that its noise costs
little (`validation.metrics.gamma`). Judged are points beyond the build-up, from the depth of maximum on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phantoms.errors import InputError
from phantoms.views import Artists, Axes
from validation.metrics.gamma import Criterion, passing_rate
from validation.metrics.gamma_curve import distance_to_agreement, gamma_1d
from validation.scans.analysis import depth_of_maximum, fitted_dose
from validation.scans.scan import PDD, Scan

NORM_DEPTH, NORM_HALF_WIDTH = 10.0, 5.0  # where, and over what fit, depth doses are scaled to each other [cm]
NORM_SHARE = 0.3  # of the field's width: to both sides of the axis so far profiles are, by their means
AXIS_SHARE, AXIS_HALF_WIDTH = 0.1, 1.0  # likewise what 100 % is, at most [cm]
MAX_DISTANCE = 1.0  # up to which agreement is looked for [cm]
SAME = 1e-5  # [cm]
MEASURED, COMPUTED = "#12355b", "#c23b22"  # colours
AT_MAXIMUM = 0.05  # by which a point may lie above the depth of maximum and be judged [cm]


@dataclass(frozen=True, eq=False)
class ScanComparison:
    """A scan and its computed curve on one scale; arrays are (n,) over the measured points.

    Parameters
    ----------
    scan : Scan
    positions : (n,) float64
        Of the measured points that the computed curve covers [cm].
    measured, computed, sigma, latent : (n,) float64
        [%]; the sigmas are those of the computed curve, transport and latent.
    curve_positions, curve : (m,) float64
        The computed curve in full [cm], [%].
    difference : (n,) float64
        Computed less measured [%].
    distance_mm : (n,) float64
        To where the computed curve has the measured dose, 10 at most.
    gamma : (n,) float64
    judged : (n,) bool
    scale : float
        Percent per unit of the computed curve.
    """

    scan: Scan
    positions: np.ndarray
    measured: np.ndarray
    computed: np.ndarray
    sigma: np.ndarray
    latent: np.ndarray
    curve_positions: np.ndarray
    curve: np.ndarray
    difference: np.ndarray
    distance_mm: np.ndarray
    gamma: np.ndarray
    judged: np.ndarray
    scale: float

    def plot(self, axes: Axes) -> Artists:
        """Draw the computed curve with one transport sigma as a band, and the measured points.

        Returns
        -------
        tuple of artists
            Computed curve, measured points, band.
        """
        noise = np.interp(self.curve_positions, self.positions, self.sigma)
        low, high = self.curve - noise, self.curve + noise
        band = axes.fill_between(self.curve_positions, low, high, color=COMPUTED, alpha=0.25, lw=0)
        (computed,) = axes.plot(self.curve_positions, self.curve, color=COMPUTED, lw=1.0, label="computed")
        (measured,) = axes.plot(self.positions, self.measured, ".", color=MEASURED, ms=2.2, label="measured")
        place = "depth [cm]" if self.scan.kind == PDD else "distance from the axis [cm]"
        axes.set(xlabel=place, ylabel="dose [%]", ylim=(0.0, None))
        return computed, measured, band

    @property
    def passing_percent(self) -> float:
        """Percentage of the judged points with gamma up to 1; NaN if there are none."""
        return passing_rate(self.gamma[self.judged])

    @property
    def max_gamma(self) -> float:
        """Largest gamma of the judged points; NaN if there are none."""
        return float(self.gamma[self.judged].max(initial=-np.inf)) if self.judged.any() else float("nan")

    @property
    def high(self) -> np.ndarray:
        """The judged points above half of the largest dose, (n,) bool."""
        return self.judged & (self.measured >= 0.5 * self.measured.max())

    @property
    def sigma_percent(self) -> float:
        """Transport sigma, rms over the points that are `high` [%]; NaN if there are none."""
        return _rms(self.sigma[self.high])

    @property
    def latent_percent(self) -> float:
        """Latent sigma, rms over the points that are `high` [%]; NaN if there are none."""
        return _rms(self.latent[self.high])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def compare(
    scan: Scan,
    positions: np.ndarray,
    dose: np.ndarray,
    sigma: np.ndarray,
    latent: np.ndarray,
    criterion: Criterion,
    build_up_cm: float,
) -> ScanComparison:
    """Compare a scan with a computed curve.

    Parameters
    ----------
    scan : Scan
    positions, dose, sigma, latent : (m,) array
        The computed curve: ascending positions [cm], the measured ones among them, dose and its sigmas.
    criterion : Criterion
        Dose in percent of the measured dose on the axis (of a depth dose: of its maximum), or of each point's
        own if local; points below its threshold are not judged.
    build_up_cm : float
        Depth from which on points are judged.

    Raises
    ------
    InputError
        If scan and curve have no common place to be scaled at.
    """
    norm, computed_norm = norms(scan, positions, dose)
    if not (norm > 0.0 and computed_norm > 0.0):
        raise InputError(
            scan.source, "has no dose where scans are scaled to each other", "about the axis, or at depth"
        )
    covered = (scan.positions >= positions[0] - SAME) & (scan.positions <= positions[-1] + SAME)
    at = scan.positions[covered]
    top = _hundred_percent(scan)
    to_percent = 100.0 / top
    measured = scan.values[covered] * to_percent
    scale = norm * to_percent / computed_norm
    curve = dose * scale
    computed, noise, hidden = (np.interp(at, positions, c) for c in (curve, sigma * scale, latent * scale))
    depths = scan.z[covered]
    judged = (depths >= build_up_cm - AT_MAXIMUM) & (measured >= criterion.threshold_percent)
    gamma = _gamma(at, measured, positions, curve, criterion)
    distance = distance_to_agreement(at, measured, positions, curve, MAX_DISTANCE)
    return ScanComparison(
        scan, at, measured, computed, noise, hidden, positions, curve, computed - measured, 10.0 * distance,
        gamma, judged, scale,
    )  # fmt: skip


def _gamma(
    at: np.ndarray, measured: np.ndarray, positions: np.ndarray, curve: np.ndarray, criterion: Criterion
) -> np.ndarray:
    distance = 0.1 * criterion.distance_mm
    if not criterion.local:
        return gamma_1d(at, measured, positions, curve, criterion.dose_percent, distance)
    found = np.full(len(at), np.inf)
    for i in np.flatnonzero(measured > 0.0):
        own = 0.01 * criterion.dose_percent * measured[i]
        found[i] = gamma_1d(at[i : i + 1], measured[i : i + 1], positions, curve, own, distance)[0]
    return found


def norms(scan: Scan, positions: np.ndarray, dose: np.ndarray) -> tuple[float, float]:
    """Doses of a scan and of a computed curve where they are scaled to each other.

    Parameters
    ----------
    scan : Scan
    positions, dose : (m,) array
        The computed curve.
    """
    own = scan.positions
    computed = np.interp(own, positions, dose)  # at the measured positions, so that both are treated alike
    if scan.kind == PDD:
        depth = min(NORM_DEPTH, 0.5 * own[-1])
        width = min(NORM_HALF_WIDTH, 0.5 * depth)
        return tuple(fitted_dose(own, values, depth, width) for values in (scan.values, computed))
    near = _about_centre(scan, NORM_SHARE * _width(scan))
    return float(scan.values[near].mean()), float(computed[near].mean())


def _hundred_percent(scan: Scan) -> float:
    """Reading that is 100 %."""
    if scan.kind == PDD:
        return depth_of_maximum(scan.positions, scan.values)[1]
    near = _about_centre(scan, min(AXIS_HALF_WIDTH, AXIS_SHARE * _width(scan)))
    return float(scan.values[near].mean())


def _width(scan: Scan) -> float:
    x1, x2, y1, y2 = scan.field_cm
    return min(x2 - x1, y2 - y1)


def _about_centre(scan: Scan, half_width: float) -> np.ndarray:
    """Measured points so near the axis, or to the highest reading of a profile that does not cross it."""
    centre = 0.0 if scan.centred else float(scan.positions[np.argmax(scan.values)])
    return np.abs(scan.positions - centre) <= half_width + SAME
