"""Statistics of noisy doses: what noise alone does to gamma, and what is left beside noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.metrics.gamma import MAX_GAMMA, Criterion, GammaMap, gamma
from validation.metrics.noise import Noise

JUST_FAILING = 1.001  # gamma of noise is sought up to here: how far a voxel fails does not count
BIN = 0.05  # of t, in sigma: narrow beside the unit width of what is fitted
FIT_STEPS = 2000
PATIENCE, MIN_GAIN = 20, 0.01  # the fit ends when so many steps gain less log-likelihood; 0.5 is one sigma
STARTS = ((1.0, -1.0), (0.5, 3.0), (-0.5, -3.0), (4.0, -4.0))  # shifts the fit begins with, in sigma


def noise_gamma(
    reference: np.ndarray,
    noise: Noise,
    grid: Grid,
    criterion: Criterion,
    mask: np.ndarray | None,
    copies: int,
) -> Iterator[GammaMap]:
    """Whether gamma passes between a dose and copies of it with one draw each of another dose's noise.

    The mean of their passing rates is the noise ceiling: what two doses reach that differ by nothing else.

    Parameters
    ----------
    reference : (nz, ny, nx) array
        A dose without noise, such as a planning system's [Gy].
    noise : Noise
        Of the other dose, on the same grid.
    grid, criterion, mask
        As for `validation.metrics.gamma.gamma`.
    copies : int

    Yields
    ------
    GammaMap
        Of each copy, capped at `JUST_FAILING`; nothing if no voxel is above the threshold.
    """
    criterion = replace(criterion, normalisation=criterion.normalisation or float(reference.max()))
    chosen = reference >= 0.01 * criterion.threshold_percent * criterion.normalisation
    if mask is not None:
        chosen &= mask
    if not chosen.any():
        return
    box, part = _within_reach(chosen, grid, criterion)
    inner, within = reference[box], None if mask is None else mask[box]
    for copy in noise.copies(inner, box, copies):
        found = gamma(inner, part, copy, part, criterion, within, JUST_FAILING)
        evaluated = np.zeros(grid.shape, bool)
        evaluated[box] = found.evaluated
        yield replace(found, evaluated=evaluated, grid=grid)


def _within_reach(chosen: np.ndarray, grid: Grid, criterion: Criterion) -> tuple[tuple[slice, ...], Grid]:
    """The voxels that gamma of those `chosen` looks at: a box of the grid, and the box as a grid."""
    box = []
    for axis, (n, d) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        hit = np.flatnonzero(chosen.any(axis=tuple(a for a in range(3) if a != axis)))
        reach = int(np.ceil(0.1 * MAX_GAMMA * criterion.distance_mm / d)) + 1
        box.append(slice(max(0, int(hit[0]) - reach), min(n, int(hit[-1]) + 1 + reach)))
    origin = tuple(grid.centres(axis)[part.start] for axis, part in enumerate(box))
    return tuple(box), Grid(tuple(part.stop - part.start for part in box), grid.spacing, origin)


@dataclass(frozen=True)
class SystematicDifference:
    """What differs between two doses beside their noise.

    Parameters
    ----------
    shifts_percent : (float, float)
        Of the two shifted groups of voxels, the larger group first [% of Dmax]; 0 where there is none.
    fractions : (float, float)
        Of the voxels in either group; the rest agree within noise.
    mean_percent, mean_sigma_percent : float
        Plain mean of D1 - D2 in the region, and its sigma if the voxels' noise is independent [% of Dmax].
    excess_percent : float
        Root mean square difference that the sigmas do not explain [% of Dmax].
    voxels : int
    dmax : float
        [Gy]
    """

    shifts_percent: tuple[float, float]
    fractions: tuple[float, float]
    mean_percent: float
    mean_sigma_percent: float
    excess_percent: float
    voxels: int
    dmax: float


def systematic_difference(
    first: np.ndarray,
    first_sigma: np.ndarray,
    second: np.ndarray,
    second_sigma: np.ndarray,
    region: np.ndarray | None = None,
    dmax: float | None = None,
) -> SystematicDifference:
    """Shifts hidden under the noise of two Monte Carlo doses.

    t = (D1 - D2) / sigma would be a unit normal if the doses agreed. Its distribution is fitted with
    a1 N(t - s1) + a2 N(t - s2) + (1 - a1 - a2) N(t), N the unit normal (Kawrakow and Fippel, Phys Med
    Biol 45 (2000) 2163; Kawrakow, Med Phys 29 (2002) 487), by maximum likelihood. Groups that the
    Bayesian information criterion does not call for are left out. Below about one sigma a shift and
    its fraction are separated poorly; their product, and the mean difference, are not.

    Parameters
    ----------
    first, first_sigma, second, second_sigma : (nz, ny, nx) array
        [Gy]. A dose without noise has sigma 0, but not both in one voxel.
    region : (nz, ny, nx) bool, optional
        By default the voxels above half of `dmax`.
    dmax : float, optional
        Dose that is 100 % [Gy]; by default the second dose's maximum, which noise makes too high.
    """
    dmax = float(second.max()) if dmax is None else dmax
    region = second > 0.5 * dmax if region is None else region.astype(bool)
    difference = (first - second)[region].astype(float)
    sigma = np.hypot(first_sigma, second_sigma)[region].astype(float)
    if difference.size == 0:
        raise InputError("systematic difference", "the region has no voxels")
    if not (np.isfinite(difference).all() and np.isfinite(sigma).all() and sigma.min() > 0):
        raise InputError(
            "systematic difference", "a dose or sigma is not finite, or both sigmas are 0, in the region"
        )
    t = difference / sigma
    shifts, fractions = _fit_shifts(t)
    percent = 100.0 / dmax
    typical = float(sigma.mean())
    excess = max(0.0, float(np.mean(difference**2) - np.mean(sigma**2)))
    return SystematicDifference(
        (shifts[0] * typical * percent, shifts[1] * typical * percent),
        fractions,
        float(difference.mean()) * percent,
        float(np.sqrt(np.sum(sigma**2)) / sigma.size) * percent,
        float(np.sqrt(excess)) * percent,
        difference.size,
        dmax,
    )


def _fit_shifts(t: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shifts [sigma] and fractions of the two groups, larger group first, from a histogram of `t`."""
    low = BIN * np.floor(t.min() / BIN)
    filled, counts = np.unique(np.floor((t - low) / BIN), return_counts=True)  # few, however far apart
    centres, counts = low + (filled + 0.5) * BIN, counts.astype(float)
    best_cost, best = -2 * _log_likelihood(centres, counts, (), ()), ((), ())
    for groups in (1, 2):
        for start in STARTS:
            shifts, fractions = _maximise(centres, counts, np.array(start[:groups]))
            # each group brings a shift and a fraction
            cost = 2 * groups * np.log(t.size) - 2 * _log_likelihood(centres, counts, shifts, fractions)
            if cost < best_cost:
                best_cost, best = cost, (tuple(shifts), tuple(fractions))
    found = sorted(zip(best[1], best[0], strict=True), reverse=True) + [(0.0, 0.0)] * 2
    return (float(found[0][1]), float(found[1][1])), (float(found[0][0]), float(found[1][0]))


def _densities(t: np.ndarray, shifts) -> np.ndarray:
    """Unit normals at `shifts` and, last, at 0: (len(shifts) + 1, n)."""
    centres = np.array([*shifts, 0.0])[:, None]
    return np.exp(-0.5 * (t - centres) ** 2) / np.sqrt(2 * np.pi) + 1e-300


def _log_likelihood(t: np.ndarray, counts: np.ndarray, shifts, fractions) -> float:
    weights = np.array([*fractions, 1.0 - sum(fractions)])
    return float(np.sum(counts * np.log(weights @ _densities(t, shifts) + 1e-300)))


def _maximise(t: np.ndarray, counts: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expectation maximisation of shifts and fractions; the last component stays at 0."""
    weights = np.full(shifts.size + 1, 1.0 / (shifts.size + 1))
    before = -np.inf
    for step in range(FIT_STEPS):
        joint = weights[:, None] * _densities(t, shifts)
        mixed = joint.sum(axis=0)
        if step % PATIENCE == 0:
            likelihood = float(counts @ np.log(mixed))
            if likelihood - before < MIN_GAIN:
                break
            before = likelihood
        share = joint * (counts / mixed)
        total = share.sum(axis=1)
        shifts, weights = (share[:-1] @ t) / np.maximum(total[:-1], 1e-12), total / counts.sum()
    return shifts, weights[:-1]
