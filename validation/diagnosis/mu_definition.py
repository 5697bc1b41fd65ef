"""Whether a common factor is that of two definitions of the monitor unit.

Most machines are adjusted so that 1 MU is 1 cGy in one of a few reference conditions in water, 10 x 10 cm. A
machine file that states another of them than the planning system makes all doses wrong by the ratio of the
doses in the two conditions, which follows from the inverse square law and a tissue-maximum ratio.

Depths of maximum and percentage depth doses at 10 cm (SSD 100 cm, 10 x 10 cm) are those by which nominal
energies are defined in British Journal of Radiology Supplement 25 (1996). Beams without a flattening filter
are softer, like the next lower energy on some linacs, and adjusted to the flattened beam on others (Georg,
Knoos and McClean, Med Phys 38 (2011) 1280): a mean is taken, with a larger sigma.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NOMINAL_MV = (4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 18.0, 21.0, 25.0)
MAXIMUM_CM = (1.0, 1.25, 1.5, 2.0, 2.3, 2.6, 2.9, 3.2, 3.5, 3.8)
PDD_10 = (63.0, 65.0, 67.5, 71.0, 73.0, 75.0, 77.0, 79.0, 81.0, 83.0)
UNFLATTENED = 0.97  # of PDD_10: between 1, adjusted energies, and the energy below
CURVATURE = 0.07  # of -ln TMR beyond the maximum [1/cm]: the slope grows as the build-up scatter is left
DEEPEST = 12.0  # to which that holds [cm]
SIGMA, SIGMA_FFF = 0.015, 0.03  # of a ratio of doses at two depths, from one linac to another
SCATTER, ROUNDING = 0.01, 0.003  # at one depth: of fields of other sizes there; of stated figures
CENTIGRAY = 0.01  # of 1 MU, wherever it is defined [Gy]
BEYOND = 2.0  # sigmas within which a factor must agree
APPARENT = 0.08  # smaller factors may as well be an error of the monitor units or of the output


@dataclass(frozen=True)
class Condition:
    """A reference condition: 1 MU is `dose_per_mu` Gy at a depth, `ssd` cm from the target to the surface."""

    ssd: float
    depth: float
    dose_per_mu: float
    at_maximum: bool = False

    def __str__(self) -> str:
        depth = "depth of maximum" if self.at_maximum else f"depth {self.depth:.3g} cm"
        return f"{100.0 * self.dose_per_mu:.3g} cGy at SSD {self.ssd:.4g} cm, {depth}"


@dataclass(frozen=True)
class Match:
    """A definition of the MU that would explain a factor.

    Parameters
    ----------
    stated, meant : Condition
        Of the machine file; of the planning system.
    ratio, sigma : float
        Plan over Monte Carlo, if that is so.
    """

    stated: Condition
    meant: Condition
    ratio: float
    sigma: float

    @property
    def apparent(self) -> bool:
        """Whether hardly anything else makes a factor so far from 1."""
        return abs(self.ratio - 1.0) > APPARENT


def matches(scale: float, sigma: float, calibration: Mapping[str, Mapping[str, Any]]) -> list[Match]:
    """Definitions of the MU that explain a factor between the doses, the closest first.

    Parameters
    ----------
    scale, sigma : float
        Plan over Monte Carlo, and its sigma.
    calibration : mapping of str to mapping
        By beam quality: the record of its calibration, with the reference condition of the machine file and
        nominal energy and fluence mode (`mc.compute.plan_dose`). All beams must have the same condition.
    """
    records = [record for record in calibration.values() if record.get("reference")]
    if not records or len(records) < len(calibration):
        return []
    found = [_explaining(scale, sigma, record) for record in records]
    common = [match for number, match in found[0].items() if all(number in others for others in found[1:])]
    return sorted(common, key=lambda match: abs(match.ratio - scale) / match.sigma)


def sentence(found: Sequence[Match]) -> str:
    """What may be the cause: the first of the matches, and others that cannot be distinguished from it."""
    best, others = found[0], [str(match.meant) for match in found[1:]]
    text = (
        f"another definition of the MU: 1 MU as {best.meant}, where the machine file has {best.stated}, "
        f"makes a factor of {best.ratio:.2f} +- {best.sigma:.2f}"
    )
    return text + (f" (about the same: {', '.join(others)})" if others else "")


def tissue_maximum_ratio(nominal_mv: float, depth: float, flattened: bool = True) -> float:
    """TMR of a 10 x 10 cm field; NaN in the build-up and beyond `DEEPEST`.

    Parameters
    ----------
    nominal_mv : float
    depth : float
        [cm]
    flattened : bool
    """
    maximum = depth_of_maximum(nominal_mv)
    if not 0.8 * maximum <= depth <= DEEPEST:
        return math.nan
    at_10 = 0.01 * float(np.interp(nominal_mv, NOMINAL_MV, PDD_10)) * (1.0 if flattened else UNFLATTENED)
    at_10 *= ((100.0 + 10.0) / (100.0 + maximum)) ** 2

    def path(depth: float) -> float:
        beyond = max(0.0, depth - maximum)
        return beyond * (1.0 + CURVATURE * beyond)

    return at_10 ** (path(depth) / path(10.0))


def depth_of_maximum(nominal_mv: float) -> float:
    """Of a 10 x 10 cm field [cm]."""
    return float(np.interp(nominal_mv, NOMINAL_MV, MAXIMUM_CM))


def _explaining(scale: float, sigma: float, record: Mapping[str, Any]) -> dict[int, Match]:
    """Of one beam, by the number of the reference condition."""
    reference, mv = record["reference"], record["nominal_mv"]
    if reference.get("cone_cm") or reference.get("electrons_per_mu"):
        return {}
    flattened = record["fluence_mode"] != "FFF"
    stated = Condition(reference["ssd_cm"], reference["depth_cm"], reference["dose_per_mu_gy"])
    maximum = depth_of_maximum(mv)
    set_ups = [(100.0, maximum, True), (100.0 - maximum, maximum, True)]
    set_ups += [(ssd, depth, False) for depth in (5.0, 10.0) for ssd in (100.0, 100.0 - depth)]

    def relative(condition: Condition) -> float:
        """Dose for a number of particles."""
        distance = condition.ssd + condition.depth
        return tissue_maximum_ratio(mv, condition.depth, flattened) / distance**2

    found = {}
    for number, (ssd, depth, at_maximum) in enumerate(set_ups):
        meant = Condition(ssd, depth, CENTIGRAY, at_maximum)
        if abs(ssd - stated.ssd) < 0.1 and abs(depth - stated.depth) < 0.3:
            meant = Condition(stated.ssd, stated.depth, CENTIGRAY)
        ratio = meant.dose_per_mu / stated.dose_per_mu * relative(stated) / relative(meant)
        own = SIGMA if flattened else SIGMA_FFF
        if abs(meant.depth - stated.depth) < 0.3:
            own = SCATTER if meant.ssd != stated.ssd and not at_maximum else ROUNDING
        off = math.hypot(sigma / scale, own)
        if abs(ratio - 1.0) > 0.01 and abs(math.log(scale / ratio)) <= BEYOND * off:
            found[number] = Match(stated, meant, ratio, ratio * own)
    return found
