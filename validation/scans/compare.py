"""A measured scan against a computed curve: dose difference, distance to agreement, gamma.

Both are brought to one scale at the same place and in the same way, and told in percent of the measured dose
there: a depth dose at 10 cm (in percent of the measured maximum), a profile by its mean about the axis. What
remains to be judged is shape; output factors judge the rest.

The measured points are the reference of gamma and the computed curve is evaluated, so that its noise costs
little (`validation.gamma.gamma`). Judged are points beyond the build-up, from the depth of maximum on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phantoms.errors import InputError
from validation.gamma import Criterion, passing_rate
from validation.scans.analysis import depth_of_maximum, fitted_dose
from validation.scans.gamma import distance_to_agreement, gamma_1d
from validation.scans.scan import PDD, Scan

NORM_DEPTH = 10.0  # where depth doses are scaled to each other [cm]
NORM_HALF_WIDTH = 1.0  # of the positions about the axis, by which profiles are [cm]
NORM_SHARE = 0.1  # of the field's width, which that does not exceed
MAX_DISTANCE = 1.0  # up to which agreement is looked for [cm]
SAME = 1e-5  # [cm]
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
    top = depth_of_maximum(scan.positions, scan.values)[1] if scan.kind == PDD else norm
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
    """Doses of a scan and of a computed curve at the place where they are scaled to each other.

    Parameters
    ----------
    scan : Scan
    positions, dose : (m,) array
        The computed curve.
    """
    own = scan.positions
    if scan.kind == PDD:
        depth = min(NORM_DEPTH, 0.5 * own[-1])
        # both at the measured depths, so that they are fitted alike
        return fitted_dose(own, scan.values, depth), fitted_dose(own, np.interp(own, positions, dose), depth)
    width = min(scan.field_cm[1] - scan.field_cm[0], scan.field_cm[3] - scan.field_cm[2])
    centre = 0.0 if scan.centred else float(own[np.argmax(scan.values)])
    near = np.abs(own - centre) <= min(NORM_HALF_WIDTH, NORM_SHARE * width) + SAME
    return float(scan.values[near].mean()), float(np.interp(own[near], positions, dose).mean())
