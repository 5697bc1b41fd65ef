"""How far computed curves are from measured ones, in one number without the bias of noise.

The cost is the mean over scans of the mean over their judged points of

    (computed - measured)^2 / (dose^2 + (gradient x distance)^2)

with the criteria of gamma and the slope of the measured curve: gamma squared, where the curves are straight
(Bakai et al., Phys Med Biol 48 (2003) 3543). A cost of 1 is an rms gamma of 1. The tails of profiles take no
part: they are leakage and scatter, which answer to nothing that is tuned, and would bend what is.

Noise adds its own variance to every square. So the square is taken as the mean product of residuals of
*different* groups of histories, which are independent: the expectation of such a product is free of noise.
The estimate may fall below 0 where two curves agree within it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from validation.commission.compute import ComputedField, Curve
from validation.commission.criteria import Criteria
from validation.commission.judge import build_up_of
from validation.metrics.gamma import Criterion
from validation.scans import PDD
from validation.scans.compare import compare, norms

TAIL = 20.0  # of the dose on the axis: less is a tail [%]
GROUPS = 16  # that the groups of a run are folded into, so that runs of any size go together


def residuals(computed: Sequence[ComputedField], criteria: Criteria) -> np.ndarray:
    """Residuals of all judged points but tails, one set for each group of histories, (GROUPS, n).

    The dot product of two mean sets is a cost. Sets are pseudo-values of the jackknife, so that their mean
    is the residual of the whole curve although its scale is found from itself.
    """
    scans = [scan for each in computed for scan in each.field.scans]
    parts = []
    for each in computed:
        build_up = build_up_of(each.field, scans, criteria)
        parts += [_of_curve(curve, criteria.criterion, build_up) for curve in each.curves]
    parts = [part for part in parts if part.size]
    if not parts:
        return np.full((GROUPS, 1), np.nan)  # nothing is judged, so nothing can be said
    return np.concatenate([part / np.sqrt(len(parts) * part.shape[1]) for part in parts], axis=1)


def _of_curve(curve: Curve, criterion: Criterion, build_up_cm: float) -> np.ndarray:
    """Residuals of a curve's judged points but tails in units of their tolerance, (GROUPS, n)."""
    scan = curve.scan
    found = compare(scan, curve.positions, curve.dose, curve.sigma, curve.latent, criterion, build_up_cm)
    slope = np.gradient(found.measured, found.positions)
    used = found.judged & ((scan.kind == PDD) | (found.measured >= TAIL))
    tolerance = np.hypot(criterion.dose_percent, 0.1 * criterion.distance_mm * slope)[used]
    at = found.positions[used]
    to_percent = found.scale * norms(scan, curve.positions, curve.dose)[1]

    def percent(dose: np.ndarray) -> np.ndarray:
        return to_percent / norms(scan, curve.positions, dose)[1] * np.interp(at, curve.positions, dose)

    folded = np.array([part.mean(axis=0) for part in np.array_split(curve.by_group, GROUPS)])
    folded += curve.dose - folded.mean(axis=0)
    total = folded.sum(axis=0)
    without = np.array([percent((total - part) / (GROUPS - 1)) for part in folded])
    whole = percent(curve.dose)
    pseudo = whole + (GROUPS - 1) * (without.mean(axis=0) - without)
    return (pseudo - found.measured[used]) / tolerance


def products(sets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean products of residuals of different groups, between runs and without each group.

    Parameters
    ----------
    sets : sequence of (GROUPS, n) arrays
        Residuals of runs.

    Returns
    -------
    (runs, runs) float64
        On its diagonal the costs of the runs.
    (GROUPS, runs, runs) float64
        The same from all groups but one.
    """
    stacked = np.asarray(sets)  # (runs, groups, n)
    groups = stacked.shape[1]
    gram = np.einsum("rgn,shn->rsgh", stacked, stacked, optimize=True)
    same = np.einsum("rsgg->rsg", gram)
    every = gram.sum(axis=(2, 3)) - same.sum(axis=2)
    # what a group takes part in: its products with all others, as the first and as the second
    taking_part = gram.sum(axis=3) + gram.sum(axis=2) - 2.0 * same
    without = np.moveaxis(every[:, :, None] - taking_part, 2, 0)
    return every / (groups * (groups - 1)), without / ((groups - 1) * (groups - 2))
