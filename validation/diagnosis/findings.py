"""What a diagnosis says of each kind of error: a value, judged by its limit and its sigma, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mc.plan.plan import Plan
from validation.diagnosis import mu_definition, words
from validation.diagnosis.effects import TISSUES
from validation.diagnosis.joint import DEPTH, PROFILE, SCALE, SIGNIFICANT, Candidate, Effect, JointFit
from validation.diagnosis.result import UNITS, BeamEffect, Finding, RegionEffect
from validation.limits.profiles import DiagnosisLimit

LIKEWISE = 0.25  # of the largest deviation of a region: smaller ones are its aftermath, and not reported
SENSE = 3.0  # sigmas that must lie within a limit for it to be judged, and that an effect must be from 0 ...
SOUGHT = ("beam", "couch", "density")  # ... `SIGNIFICANT` where the largest of many is looked for


def _finding(
    test: str,
    quantity: str,
    value: float | None,
    sigma: float | None,
    limits: Mapping[str, DiagnosisLimit],
    cause: str,
    none: str,
    unknown: str = "",
) -> Finding:
    """Judge a value: `cause` is said if it counts, `none` if not, `unknown` if there is none."""
    limit = limits.get(test)
    tolerance, action, source = (limit.tolerance, limit.action, limit.source) if limit else (None, None, "")
    if value is None:
        status, sentence = "shown", unknown
    elif limit is None:
        status, sentence = "shown", "the profile sets no limit"
    elif abs(value) > max(tolerance + sigma, (SIGNIFICANT if test in SOUGHT else SENSE) * sigma):
        failed = action is not None and abs(value) > action + sigma
        status, sentence = ("fail" if failed else "warn"), cause
    elif abs(value) > tolerance or SENSE * sigma > tolerance:
        status, sentence = "shown", words.TOO_NOISY
    else:
        status, sentence = "pass", none
    return Finding(test, quantity, value, sigma, UNITS[test], tolerance, action, status, sentence, source)


def output(
    joint: JointFit, plan: Plan, limits: Mapping, energy: bool, records: Mapping[str, Mapping]
) -> Finding:
    """Whether all doses are off by one factor; `records` of the calibrations state what an MU is."""
    scale = float(joint.scale * (1.0 + joint.fit.values[SCALE]))
    sigma = float(joint.scale) * math.hypot(float(joint.fit.sigma[SCALE]), joint.common)
    return _finding(
        "output",
        "plan over Monte Carlo, common factor less 1",
        100 * (scale - 1.0),
        100 * sigma,
        limits,
        words.output(scale, plan.fractions, energy, mu_definition.matches(scale, sigma, records)),
        words.NO_OUTPUT,
    )


def of_beams(beams: Sequence[BeamEffect], limits: Mapping) -> Finding:
    """Whether a beam is off by itself."""
    seen = [beam for beam in beams if beam.percent is not None]
    quantity = "plan over Monte Carlo, largest deviation of one beam"
    if not seen:
        return _finding("beam", quantity, None, None, limits, "", "", words.no_beams(len(beams)))
    worst = max(seen, key=lambda beam: (beam.found, abs(beam.percent)))
    return _finding(
        "beam", quantity, worst.percent, worst.sigma_percent, limits, words.beam(worst), words.no_beam(beams)
    )


def shift(
    displacement: np.ndarray, covariance: np.ndarray, with_depth: bool | None, limits: Mapping
) -> Finding:
    """Whether the dose lies elsewhere."""
    size = float(np.linalg.norm(displacement))
    along = displacement / size if size > 0 else np.array([1.0, 0.0, 0.0])
    sigma = math.sqrt(max(0.0, float(along @ covariance @ along)))
    return _finding(
        "shift",
        "distance of the plan's dose from Monte Carlo's",
        10 * size,
        10 * sigma,
        limits,
        words.shift(10 * displacement, with_depth),
        words.NO_SHIFT,
    )


def _fitted(
    joint: JointFit,
    column: int,
    test: str,
    quantity: str,
    say: Callable[[float], str],
    none: str,
    limits: Mapping,
) -> Finding:
    """A column that is always fitted; `say` puts its value [%] into words."""
    value, sigma = 100 * float(joint.fit.values[column]), 100 * float(joint.fit.sigma[column])
    return _finding(test, quantity, value, sigma, limits, say(value), none)


def depth(joint: JointFit, limits: Mapping) -> Finding:
    """Whether the dose falls off differently along the beams: the energy."""
    quantity = "change of plan over Monte Carlo along the beams' radiological depth"
    return _fitted(joint, DEPTH, "depth", quantity, words.depth, words.NO_DEPTH, limits)


def profile(joint: JointFit, limits: Mapping) -> Finding:
    """Whether the dose off the axes differs: the fluence mode."""
    quantity = "change of plan over Monte Carlo from the beam axis to 5 cm off it"
    return _fitted(joint, PROFILE, "profile", quantity, words.profile, words.NO_PROFILE, limits)


def of_couch(
    candidate: Candidate, effect: Effect | None, passing: tuple[int, ...] | None, plan: Plan, limits: Mapping
) -> Finding:
    """Whether the couch was left out, or is there twice."""
    quantity = "plan over Monte Carlo in beams through the couch, less 1"
    if passing is not None and not passing:
        return _finding("couch", quantity, None, None, limits, "", "", words.NO_BEAM_BELOW)
    if effect is None:
        return _finding("couch", quantity, None, None, limits, "", "", words.COUCH_LIKE_OUTPUT)
    names = () if passing is None else tuple(plan.beams[k].name or str(plan.beams[k].number) for k in passing)
    value, sigma = -100 * effect.value, 100 * effect.sigma
    return _finding(
        "couch",
        quantity,
        value,
        sigma,
        limits,
        words.couch(value, passing is None, names),
        words.no_couch(passing is None, names, len(plan.beams)),
    )


def _like_water(found: Sequence[RegionEffect]) -> bool:
    """Whether tissues, and these alone, are found, and all have a density nearer to water's."""
    return all(r.region in TISSUES and r.density_change * (1.0 - r.mean_density) > 0.0 for r in found)


def _tolerance(limits: Mapping[str, DiagnosisLimit]) -> float:
    return limits["density"].tolerance if "density" in limits else math.inf


def density(
    regions: Sequence[RegionEffect], stated: Mapping[str, str], displaced: bool, limits: Mapping
) -> Finding:
    """Whether a region had another density."""
    quantity = "plan over Monte Carlo in or behind a region, largest deviation"
    if not regions:
        return _finding("density", quantity, None, None, limits, "", "", words.NO_REGIONS)
    found = [r for r in regions if r.found]
    if found:
        worst = max(found, key=lambda r: abs(r.percent))
    else:  # the one that would better the fit most; others are too small to be distinguished from chance
        worst = max(regions, key=lambda r: r.gain_percent)
    if not found and abs(worst.percent) > _tolerance(limits):
        unknown = words.displaced(worst) if displaced else words.too_small(worst)
        return _finding("density", quantity, None, None, limits, "", "", unknown)
    also = [r.region for r in found if r is not worst and abs(r.percent) > LIKEWISE * abs(worst.percent)]
    return _finding(
        "density",
        quantity,
        worst.percent,
        worst.sigma_percent,
        limits,
        words.density(worst, stated.get(worst.region, ""), also, _like_water(found)),
        words.no_density(len(regions)),
    )
