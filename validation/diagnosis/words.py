"""Sentences of a diagnosis: the probable cause, or that there is no sign of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from phantoms.structures import ROI
from validation.diagnosis.mu_definition import Match, sentence
from validation.diagnosis.result import BeamEffect, RegionEffect

TOO_NOISY = "too uncertain to judge: lower the Monte Carlo dose's sigma"
NO_OUTPUT = "monitor units and dose belong together"
NO_SHIFT = "both doses lie at the same place"
NO_DEPTH = "both doses fall alike with depth: no sign of another beam energy"
NO_PROFILE = "both doses have the same profile across the fields"
NO_BEAM_BELOW = "no beam enters through a couch"
COUCH_LIKE_OUTPUT = "all dose passes the couch alike: its effect cannot be separated from that of the output"
NO_REGIONS = "no structure lies in or before enough of the dose"
AXES = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
MIN_MM = 0.3  # components of a shift that are reported
NEAR = 0.05  # by which a factor may miss a number of fractions


def output(scale: float, fractions: int, energy: bool, definitions: Sequence[Match] = ()) -> str:
    """Of a plan dose that is `scale` times Monte Carlo's, where another `energy` was found or not.

    `definitions` of the MU would explain the factor.
    """
    for factor, said in (
        (fractions, "the dose of the course is given as that of one fraction"),
        (1.0 / fractions, "the dose of one fraction is given as that of the course"),
    ):
        if fractions > 1 and abs(scale / factor - 1.0) < NEAR:
            times = f"{scale:.3g} times Monte Carlo's, with {fractions} fractions"
            return f"the plan's dose is {times}: probably {said}"
    cause = "the other energy, wrong monitor units" if energy else "wrong monitor units"
    cause += " or another output calibration"
    if definitions:
        cause = sentence(definitions) + ("" if definitions[0].apparent else f"; or {cause}")
    return (
        f"the plan's dose is {_percent(100 * (scale - 1))} than Monte Carlo's everywhere alike: "
        f"probably {cause}"
    )


def no_beams(count: int) -> str:
    """Of beams that cannot be judged one by one."""
    return "one beam: the same as the output" if count < 2 else "the beams overlap too much to be separated"


def beam(worst: BeamEffect) -> str:
    """Of one beam that deviates."""
    named = f" ({worst.name})" if worst.name else ""
    return (
        f"beam {worst.number}{named} alone is {_percent(worst.percent)} in the plan's dose: "
        "probably its monitor units, or what lies in its path"
    )


def no_beam(beams: Sequence[BeamEffect]) -> str:
    """Of beams that agree."""
    unknown = sum(b.percent is None for b in beams)
    suffix = f"; {unknown} of {len(beams)} cannot be separated" if unknown else ""
    return f"no beam deviates from the others{suffix}"


def shift(displacement_mm: np.ndarray, with_depth: bool | None) -> str:
    """Of a dose that lies elsewhere, LPS (x, y, z) [mm], or of beams that do while depth doses stay."""
    parts = [
        f"{abs(d):.1f} mm {names[int(d > 0)]}"
        for d, names in zip(displacement_mm, AXES, strict=True)
        if abs(d) >= MIN_MM
    ]
    cause = {
        True: "the position of the dose grid, for the depth doses lie elsewhere, too",
        False: "another isocentre, for the depth doses stay in their place",
        None: "the isocentre or the position of the dose grid",
    }[with_depth]
    return f"the plan's dose lies {', '.join(parts)} of Monte Carlo's: probably {cause}"


def depth(percent: float) -> str:
    """Of a dose that falls otherwise with depth [% per 10 cm]."""
    amount, energy = ("less", "higher") if percent > 0 else ("more", "lower")
    return (
        f"the plan's dose falls {amount} steeply with depth than Monte Carlo's: "
        f"probably another beam energy or fluence mode, of {energy} mean energy"
    )


def profile(percent: float) -> str:
    """Of a dose that falls otherwise towards the edges of the fields [% at 5 cm off the axis]."""
    amount, mode = ("less", "with") if percent > 0 else ("more", "without")
    return (
        f"the plan's dose falls {amount} than Monte Carlo's towards the edges of the fields: probably "
        f"another fluence mode or energy, as {mode} a flattening filter"
    )


def couch(percent: float, in_phantom: bool, beams: Sequence[str]) -> str:
    """Of a couch in one dose only."""
    if in_phantom:
        cause = "leaves the couch out, or takes it too thin" if percent > 0 else "takes the couch too thick"
        return (
            f"in beams through the couch the plan's dose is {_percent(percent)} than Monte Carlo's: "
            f"the planning system probably {cause}"
        )
    found = f"in beams from below ({', '.join(beams)}) the plan's dose is {_percent(percent)}"
    if percent > 0:
        return f"{found}, though Monte Carlo was given no couch"
    return (
        f"{found}: the planning system probably has a couch that Monte Carlo was not given; export it as "
        "SUPPORT, or state [couch] in the machine file"
    )


def no_couch(in_phantom: bool, beams: Sequence[str], count: int) -> str:
    """Of a couch in both doses or in neither."""
    if in_phantom:
        return "both doses have the couch"
    below = f"{len(beams)} of {count} beams enter from below ({', '.join(beams)})"
    return f"neither dose shows a couch, though {below}"


def stated(roi: ROI, override: Mapping | None) -> str:
    """What was said of a structure's density beside the CT."""
    parts = [f"RTSTRUCT gives it {name} {value:g}" for name, value in roi.physical.items()]
    if override is not None:
        parts.append(f"Monte Carlo was given {override['material']} of {override['density']:g} g/cm3")
    elif parts:
        parts.append("Monte Carlo took the CT's density")
    return ", ".join(parts)


def density(worst: RegionEffect, suffix: str, also: Sequence[str], water: bool) -> str:
    """Of a region whose density differs; `water`: all tissues found look as if they were water."""
    before, after = worst.mean_density, max(0.0, worst.mean_density + worst.density_change)
    parts = [f"{worst.inside_percent:+.1f} % inside"] * bool(worst.inside_sigma_percent)
    parts += [f"{worst.behind_percent:+.1f} % behind"] * bool(worst.behind_sigma_percent)
    text = (
        f"{worst.region}: the plan's dose deviates by {' and '.join(parts)} it, as if its density were "
        f"{after:.2f} instead of {before:.2f} g/cm3: probably a density override or another CT calibration"
    )
    text += f"; {suffix}" if suffix else ""
    text += f"; likewise {', '.join(also)}" if also else ""
    return f"{text}: the whole patient may have been taken as water" if water and also else text


def too_small(worst: RegionEffect) -> str:
    """Of a region that deviates where hardly any dose is."""
    return f"{worst.region} deviates by {worst.percent:+.1f} %, in too small a part of the dose to be judged"


def displaced(worst: RegionEffect) -> str:
    """Of a region that deviates in a dose that lies elsewhere."""
    return (
        f"{worst.region} deviates by {worst.percent:+.1f} %, which the displacement of the dose may explain"
    )


def no_density(count: int) -> str:
    """Of regions that agree."""
    return f"no sign of a wrong density in or behind {count} structures and tissues"


def _percent(value: float) -> str:
    return f"{abs(value):.1f} % {'higher' if value > 0 else 'lower'}"
