"""Figures of a depth dose and of a profile, as beam data are described by.

Every function takes a curve, positions (n,) [cm] ascending and doses (n,) in any unit, so that measured and
computed curves are treated alike. Definitions:

- **field size**: distance of the points of 50 % of the dose on the axis; **penumbra**: distance of those of
  80 and 20 %, mean of both sides (IEC 60976; AAPM TG-106, Das et al., Med Phys 35 (2008) 4186).
- **inflection**: distance of the steepest points of both sides, the field size of unflattened beams, whose
  dose on the axis says little about their edge (Ponisch et al., Med Phys 33 (2006) 1738; Fogliata et al., Med
  Phys 39 (2012) 6455). Their penumbra is that of 160 and 40 % of the dose at the inflection point, which are
  80 and 20 % of a flat beam's.
- **flatness**: (max - min) / (max + min) over the central 80 % of the field (AAPM TG-45, Nath et al., Med
  Phys 21 (1994) 1093); **symmetry**: the largest |D(x) - D(-x)| there, over the dose on the axis.
- **dmax**: where a quartic fitted to the doses near the maximum is largest. **D at a depth**: from a fit of
  ln D, quadratic in depth.
- **TPR20,10** = 1.2661 PDD20,10 - 0.0595 of a 10 cm field at SSD 100 cm (IAEA TRS-398, section 6.3.1;
  Followill et al., Med Phys 25 (1998) 1202). From another SSD PDD20,10 is carried over by the inverse square
  law alone.
"""

from __future__ import annotations

import math

import numpy as np

PLATEAU = 0.95  # of the maximum: points of a depth dose that its maximum is fitted to
FEWEST = 6  # points of a fit
FIT_HALF_WIDTH = 2.0  # of depths that a depth dose is fitted to [cm]
EDGE_HALF_WIDTH = 0.4  # of positions that an inflection point is fitted to [cm]
FLAT_SHARE = 0.8  # of the field's width: the region of flatness and symmetry
TPR_SSD = 100.0  # [cm]


def dose_at(positions: np.ndarray, doses: np.ndarray, at: float) -> float:
    """Dose of a curve at a position by linear interpolation; NaN beyond its ends."""
    if not positions[0] <= at <= positions[-1]:
        return math.nan
    return float(np.interp(at, positions, doses))


def crossings(positions: np.ndarray, doses: np.ndarray, level: float) -> tuple[float, float]:
    """Outermost positions, left and right [cm], at which a profile crosses `level`; NaN where it does not.

    Looked for outwards from the highest dose, so that what rises again outside the field is no edge.
    """
    top = int(np.argmax(doses))
    return (
        -_first_below(-positions[top::-1], doses[top::-1], level),
        _first_below(positions[top:], doses[top:], level),
    )


def _first_below(positions: np.ndarray, doses: np.ndarray, level: float) -> float:
    """Position, interpolated, from which on an outward half is below `level` for the first time."""
    below = np.flatnonzero(doses < level)
    if below.size == 0 or below[0] == 0:
        return math.nan
    i = int(below[0])
    share = (doses[i - 1] - level) / (doses[i - 1] - doses[i])
    return float(positions[i - 1] + share * (positions[i] - positions[i - 1]))


def inflections(positions: np.ndarray, doses: np.ndarray) -> tuple[float, float]:
    """Steepest positions of the left and the right edge [cm], from a cubic fitted to each; NaN without."""
    found = []
    for left in (True, False):
        side = positions < 0 if left else positions > 0
        slope = np.gradient(doses, positions) * (1.0 if left else -1.0)
        slope[~side] = -np.inf
        steepest = positions[int(np.argmax(slope))]
        near = np.abs(positions - steepest) <= EDGE_HALF_WIDTH
        if np.count_nonzero(near) < FEWEST:
            found.append(math.nan)
            continue
        cubic, square, *_ = np.polyfit(positions[near] - steepest, doses[near], 3)
        shift = -square / (3.0 * cubic) if cubic else math.nan
        found.append(float(steepest + shift) if abs(shift) <= EDGE_HALF_WIDTH else math.nan)
    return found[0], found[1]


def depth_dose_figures(
    depths: np.ndarray, doses: np.ndarray, ssd_cm: float, field_cm: tuple[float, float, float, float]
) -> dict[str, float]:
    """Figures of a depth dose, by name; NaN for what its range does not hold.

    Returns
    -------
    dict
        `dmax_cm`, `D10_percent` and `D20_percent` (of the maximum), `D20_D10`, and for a field of 10 x 10 cm
        `TPR20_10`.
    """
    dmax, top = depth_of_maximum(depths, doses)
    ten, twenty = (fitted_dose(depths, doses, depth) for depth in (10.0, 20.0))
    figures = {
        "dmax_cm": dmax,
        "D10_percent": 100.0 * ten / top,
        "D20_percent": 100.0 * twenty / top,
        "D20_D10": twenty / ten,
    }
    if all(abs(abs(edge) - 5.0) < 0.05 for edge in field_cm):
        figures["TPR20_10"] = tpr20_10(twenty / ten, ssd_cm)
    return figures


def tpr20_10(ratio: float, ssd_cm: float) -> float:
    """TPR20,10 of a ratio D(20 cm)/D(10 cm) measured at an SSD."""
    to_ssd_100 = ((ssd_cm + 20.0) / (ssd_cm + 10.0) * (TPR_SSD + 10.0) / (TPR_SSD + 20.0)) ** 2
    return 1.2661 * ratio * to_ssd_100 - 0.0595


def depth_of_maximum(depths: np.ndarray, doses: np.ndarray) -> tuple[float, float]:
    """Depth of the maximum of a depth dose [cm] and the dose there, from a quartic fitted near it."""
    top = int(np.argmax(doses))
    high = doses >= PLATEAU * doses[top]
    first, last = top, top
    while first > 0 and high[first - 1]:
        first -= 1
    while last + 1 < len(doses) and high[last + 1]:
        last += 1
    near = slice(first, last + 1)
    if last + 1 - first < FEWEST:
        return float(depths[top]), float(doses[top])
    fitted = np.polynomial.Polynomial.fit(depths[near], doses[near], 4)
    fine = np.linspace(depths[first], depths[last], 1001)
    best = int(np.argmax(fitted(fine)))
    return float(fine[best]), float(fitted(fine[best]))


def fitted_dose(
    depths: np.ndarray, doses: np.ndarray, depth: float, half_width: float = FIT_HALF_WIDTH
) -> float:
    """Dose of a depth dose at a depth, from a fit of ln D quadratic in depth; NaN beyond its ends."""
    near = (np.abs(depths - depth) <= half_width + 1e-9) & (doses > 0.0)
    if np.count_nonzero(near) < FEWEST or not depths[0] <= depth <= depths[-1]:
        return math.nan
    return float(np.exp(np.polyfit(depths[near] - depth, np.log(doses[near]), 2)[-1]))


def profile_figures(positions: np.ndarray, doses: np.ndarray, flattened: bool) -> dict[str, float]:
    """Figures of a profile through the axis, by name; NaN for what its range does not hold.

    Returns
    -------
    dict
        `field_cm`, `centre_cm` and `penumbra_cm`; `flatness_percent` of a flattened beam, for another
        `inflection_field_cm`; `symmetry_percent`.
    """
    axis = dose_at(positions, doses, 0.0)
    left, right = crossings(positions, doses, 0.5 * axis)
    figures = {"field_cm": right - left, "centre_cm": 0.5 * (left + right)}
    edge = 0.5 * axis
    if not flattened:
        steep = inflections(positions, doses)
        figures["inflection_field_cm"] = steep[1] - steep[0]
        edge = 0.5 * sum(dose_at(positions, doses, at) for at in steep)
    high, low = (crossings(positions, doses, share * edge) for share in (1.6, 0.4))
    figures["penumbra_cm"] = 0.5 * ((high[0] - low[0]) + (low[1] - high[1]))
    half = 0.5 * FLAT_SHARE * (right - left)
    inside = np.abs(positions) <= half + 1e-9
    if not math.isnan(half) and np.count_nonzero(inside) >= FEWEST:
        flat = doses[inside]
        if flattened:
            figures["flatness_percent"] = 100.0 * float((flat.max() - flat.min()) / (flat.max() + flat.min()))
        mirrored = np.interp(-positions[inside], positions, doses)
        figures["symmetry_percent"] = 100.0 * float(np.abs(flat - mirrored).max()) / axis
    return figures
