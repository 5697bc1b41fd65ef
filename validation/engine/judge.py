"""The test against reference doses: two noisy doses of one truth, compared in four ways.

1. Systematic shift (Kawrakow and Fippel) of any group of more than 1 % of the voxels, above Dmax/2 and from
   10 to 50 % of Dmax apart.
2. Mean difference in either region.
3. Depth dose and profiles, averaged over 1.5 cm across the curve: point by point, and averaged over 1.5 cm
   along the curve as well, which shows what the noise of single points hides.
4. Gamma 1 %/1 mm against the rate that the doses' own noise allows, taken from their mirror images.

Every figure is judged with its own uncertainty, `verdict.Check`. That of a mean takes account of the
correlation of neighbouring voxels, as found in the doses (`noise`); that of a shift is its scatter when
the voxels are drawn anew in columns. Of a family of n points the worst is judged: its allowance is such that
noise alone breaks it once in `1/FALSE_ALARMS` cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.stats import norm

from phantoms.grid import Grid
from validation.engine.curves import Curve, averaged_curves, deviation
from validation.engine.noise import inflation, mirror_noise, sigma_scale, symmetrised
from validation.engine.verdict import Check, Options
from validation.metrics.gamma import Criterion, gamma
from validation.metrics.statistics import SystematicDifference, systematic_difference

SHIFT_LIMIT, MEAN_LIMIT, CURVE_LIMIT = 0.5, 0.3, 0.5  # [% of Dmax]
GAMMA_LIMIT = 1.0  # below the noise ceiling [percentage points]
STEEP = 0.05  # distance allowed in steep gradients [cm]
SMALLEST_GROUP = 0.01  # of the voxels of a region
AVERAGED = 1.5  # curves are averaged over so much across, and along [cm]
FALSE_ALARMS = 0.01
DRAWS, QUICK_DRAWS = 24, 8  # of columns, for the uncertainty of a shift
COLUMN = 3.0  # length in which a column is drawn [cm]
SMOOTHED = 1.0  # of depth, over which the dose is averaged to find Dmax and the regions [cm]
REGIONS = {"above Dmax/2": (0.5, np.inf), "10-50 % of Dmax": (0.1, 0.5)}
CRITERION = Criterion(1.0, 1.0, False, 10.0)


@dataclass(frozen=True, eq=False)
class Pair:
    """Our dose and the reference, made ready to be compared; arrays (nz, ny, nx), any unit.

    Sigmas are symmetrised, which makes their squares four times as well known.
    """

    grid: Grid
    ours: np.ndarray
    ours_sigma: np.ndarray
    reference: np.ndarray
    reference_sigma: np.ndarray
    dmax: float
    regions: dict[str, np.ndarray]
    scales: dict[str, float]

    @property
    def sigma(self) -> np.ndarray:
        """One sigma of the difference."""
        return np.hypot(self.ours_sigma, self.reference_sigma)


@dataclass(frozen=True, eq=False)
class Judgement:
    """Checks, and what the figure shows of them."""

    pair: Pair
    checks: tuple[Check, ...]
    differences: dict[str, SystematicDifference]
    curves: list[tuple[Curve, Curve]]
    facts: dict


def pair_doses(
    grid: Grid,
    ours: np.ndarray,
    ours_sigma: np.ndarray,
    reference: np.ndarray,
    reference_sigma: np.ndarray,
    freedom: float = np.inf,
    rescale: bool = False,
) -> Pair:
    """Symmetric doses of one truth as a `Pair`.

    `freedom` is the number of degrees of freedom of our sigma: batches less one. Over a sigma from few
    batches the difference is wider than normal, as Student's t is; so much larger is the sigma taken.
    With `rescale` the reference's sigma is brought to the scale that its mirror images show: that of a dose
    from a phase space holds the file's latent noise, which cancels where both doses use the same file.
    """
    smooth = uniform_filter1d(symmetrised(reference), _odd(SMOOTHED / grid.spacing[0]), axis=0)
    dmax = float(smooth.max())
    regions = {name: (smooth > low * dmax) & (smooth <= high * dmax) for name, (low, high) in REGIONS.items()}
    ours_sigma, reference_sigma = (np.sqrt(symmetrised(s**2)) for s in (ours_sigma, reference_sigma))
    if np.isfinite(freedom):
        ours_sigma = ours_sigma * np.sqrt(4 * freedom / (4 * freedom - 2))  # four mirror images
    scales = {}
    if rescale:
        scales = {name: sigma_scale(reference, reference_sigma, region) for name, region in regions.items()}
        above, below = scales.values()
        reference_sigma = reference_sigma * np.where(smooth > 0.5 * dmax, above, below)
    return Pair(grid, ours, ours_sigma, reference, reference_sigma, dmax, regions, scales)


def judge(pair: Pair, options: Options) -> Judgement:
    """Hold our dose against the reference."""
    seen = np.any(list(pair.regions.values()), axis=0)
    noise = _Noise(pair, seen)
    checks: list[Check] = []
    differences = {}
    for name, region in pair.regions.items():
        difference, scatter = _shifts(pair, region, QUICK_DRAWS if options.quick else DRAWS)
        differences[name] = difference
        checks.append(
            Check(f"systematic shift, {name}", worst_shift(difference), options.limit(SHIFT_LIMIT), scatter)
        )
        mean_sigma = difference.mean_sigma_percent * max(noise.growth((0, 1, 1)), noise.growth((0, 3, 3)))
        checks.append(
            Check(f"mean difference, {name}", difference.mean_percent, options.limit(MEAN_LIMIT), mean_sigma)
        )
    points, curves = _curve_checks(pair, noise, options.limit(CURVE_LIMIT))
    deficit, rates = _gamma_check(pair, noise, 2.0 * GAMMA_LIMIT if options.quick else GAMMA_LIMIT)
    facts = {
        "dmax": pair.dmax,
        "sigma50_percent": {
            "ours": _relative(pair.ours_sigma, pair),
            "reference": _relative(pair.reference_sigma, pair),
        },
        "reference_sigma_scale": pair.scales,
        "shifts": {
            name: {
                "shifts_percent": d.shifts_percent, "fractions": d.fractions,
                "excess_percent": d.excess_percent, "voxels": d.voxels,
            }
            for name, d in differences.items()
        },
        "gamma_percent": rates,
    }  # fmt: skip
    return Judgement(pair, (*checks, *points, deficit), differences, curves, facts)


def worst_shift(difference: SystematicDifference) -> float:
    """The largest shift of a group of more than 1 % of the voxels, signed [% of Dmax]."""
    groups = zip(difference.shifts_percent, difference.fractions, strict=True)
    return max((shift for shift, share in groups if share > SMALLEST_GROUP), key=abs, default=0.0)


def family_allowance(n: int) -> float:
    """Sigmas that the largest of `n` normal numbers exceeds in `FALSE_ALARMS` of all cases."""
    return float(norm.isf(FALSE_ALARMS / (2 * n)))


class _Noise:
    """Growth of the sigma of means over blocks of voxels, of the difference of a pair."""

    def __init__(self, pair: Pair, region: np.ndarray) -> None:
        self._arguments = pair.ours - pair.reference, pair.sigma, region
        self._known: dict[tuple[int, int, int], float] = {}

    def growth(self, block: tuple[int, int, int]) -> float:
        """Sigma of the mean over a block, over that of as many independent voxels."""
        if block not in self._known:
            self._known[block] = np.sqrt(inflation(*self._arguments, block))
        return self._known[block]


def _shifts(pair: Pair, region: np.ndarray, draws: int) -> tuple[SystematicDifference, float]:
    """The systematic difference in a region, and the standard deviation of its worst shift [% of Dmax]."""
    ours, reference, sigma = pair.ours[region], pair.reference[region], pair.sigma[region]
    nothing = np.zeros_like(sigma)

    def fit(chosen: np.ndarray | slice) -> SystematicDifference:
        return systematic_difference(
            ours[chosen], sigma[chosen], reference[chosen], nothing[chosen],
            np.ones(sigma[chosen].shape, bool), pair.dmax,
        )  # fmt: skip

    z, y, x = np.nonzero(region)
    segment = (z * pair.grid.spacing[0] // COLUMN).astype(int)
    _, block = np.unique(np.stack([segment, y, x]), axis=1, return_inverse=True)
    order = np.argsort(block, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(block[order])) + 1)
    random = np.random.default_rng(1)
    drawn = [
        worst_shift(
            fit(np.concatenate([members[i] for i in random.integers(len(members), size=len(members))]))
        )
        for _ in range(draws)
    ]
    return fit(slice(None)), float(np.std(drawn, ddof=1))


def _curve_checks(pair: Pair, noise: _Noise, limit: float) -> tuple[list[Check], list[tuple[Curve, Curve]]]:
    """Checks of the curves, and the curves, ours and the reference's; their sigmas with correlation."""
    ours = averaged_curves(pair.ours, pair.ours_sigma, pair.grid, AVERAGED)
    theirs = averaged_curves(pair.reference, pair.reference_sigma, pair.grid, AVERAGED)
    deep, across_y, across_x = (_odd(AVERAGED / d) for d in pair.grid.spacing)
    blocks = {"d": (1, across_y, across_x), "x": (deep, across_y, 1), "y": (deep, 1, across_x)}
    along = {"d": deep, "x": across_x, "y": across_y}
    whole = (deep, across_y, across_x)
    curves, single, averaged = [], [], []
    for mine, other in zip(ours, theirs, strict=True):
        kind, n = mine.name[0], along[mine.name[0]]
        curves.append(tuple(_with_sigma(c, noise.growth(blocks[kind])) for c in (mine, other)))
        single.append(_deviations(*curves[-1], pair.dmax))
        smooth = [_with_sigma(_run(c, n), noise.growth(whole)) for c in (mine, other)]
        averaged.append(_deviations(*smooth, pair.dmax))
    checks = []
    for name, found, step in (
        ("curves, point by point", single, dict.fromkeys(along, 1)),
        ("curves, averaged along", averaged, along),
    ):
        off, sigma = (np.concatenate([pair_[i] for pair_ in found]) for i in (0, 1))
        independent = sum(len(c[0].position) / step[c[0].name[0]] for c in curves)
        worst = int(np.argmax((np.abs(off) - limit) / sigma))
        checks.append(
            Check(name, float(off[worst]), limit, float(sigma[worst]), "%", family_allowance(independent))
        )
    return checks, curves


def _deviations(mine: Curve, other: Curve, dmax: float) -> tuple[np.ndarray, np.ndarray]:
    """Deviation of a curve and its sigma [% of Dmax]; see `curves.deviation`."""
    return (
        100.0 * deviation(mine, other, dmax, STEEP),
        100.0 * np.maximum(np.hypot(mine.sigma, other.sigma), 1e-6 * dmax) / dmax,
    )


def _run(curve: Curve, n: int) -> Curve:
    """Running mean over `n` points, of independent ones, without the ends."""
    kernel = np.full(n, 1.0 / n)
    position, dose = (np.convolve(values, kernel, "valid") for values in (curve.position, curve.dose))
    return Curve(curve.name, position, dose, np.sqrt(np.convolve(curve.sigma**2, kernel, "valid") / n))


def _with_sigma(curve: Curve, factor: float) -> Curve:
    return Curve(curve.name, curve.position, curve.dose, curve.sigma * factor)


def _gamma_check(pair: Pair, noise: _Noise, limit: float) -> tuple[Check, dict[str, float]]:
    """How far the gamma rate lies below its noise ceiling [percentage points]."""
    criterion = Criterion(
        CRITERION.dose_percent, CRITERION.distance_mm, CRITERION.local, CRITERION.threshold_percent, pair.dmax
    )

    def rate(reference: np.ndarray, ours: np.ndarray, where: np.ndarray | None = None) -> float:
        return gamma(reference, pair.grid, ours, pair.grid, criterion, where).passing_rate()

    found = rate(pair.reference, pair.ours)
    truth = 0.5 * (symmetrised(pair.reference) + symmetrised(pair.ours))
    noises = zip(mirror_noise(pair.reference), mirror_noise(pair.ours), strict=True)
    ceilings = [rate(truth + theirs, truth + mine, where) for (theirs, where), (mine, _) in noises]
    ceiling = float(np.mean(ceilings))
    voxels = np.count_nonzero(pair.reference > 0.01 * CRITERION.threshold_percent * pair.dmax)
    share = 0.01 * ceiling
    # a rate scatters like a share of the voxels, of correlated ones as of fewer
    sigma = 100.0 * np.sqrt(share * (1.0 - share) / voxels) * noise.growth((0, 1, 1))
    sigma *= np.sqrt(1.0 + 1.0 / len(ceilings))
    check = Check("gamma 1 %/1 mm below its noise ceiling", max(0.0, ceiling - found), limit, float(sigma))
    return check, {"rate": found, "noise_ceiling": ceiling}


def _relative(sigma: np.ndarray, pair: Pair) -> float:
    high = pair.regions["above Dmax/2"]
    return float(100.0 * np.sqrt(np.mean((sigma[high] / pair.reference[high]) ** 2)))


def _odd(number: float) -> int:
    """The nearest odd whole number, at least 1."""
    return max(1, 2 * round((number - 1.0) / 2.0) + 1)
