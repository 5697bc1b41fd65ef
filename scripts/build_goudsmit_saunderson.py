"""Compute mc/data/goudsmit_saunderson.npz, the universal multiple-scattering table.

For a screened Rutherford law f(mu) = 2 eta (1 + eta)/(1 - mu + 2 eta)^2 the angular distribution after
a path depends on eta and on the strength 1 - <mu> = 1 - exp(-K1) only (Goudsmit and Saunderson, Phys.
Rev. 57 (1940) 24). Unscattered and once-scattered particles are split off and the rest is summed in
Legendre polynomials (Kawrakow and Bielajew, Nucl. Instrum. Meth. B 134 (1998) 325):

    P(mu > m) = e^-L [1 + L C1(m)] + sum_l (l + 1/2) e^-L [e^(L f_l) - 1 - L f_l] int_m^1 P_l

with L the mean number of collisions, f_l the Legendre moments of f and C1 its cumulative distribution.
Stored are quantiles of U, 1 - mu = 2 a U/(1 + a - U), in which the distribution is nearly flat, at
levels 1 - s^2 with equal steps of s; `a` is trimmed so that interpolation linear in s has exactly the
wanted strength.

Usage: python scripts/build_goudsmit_saunderson.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from mc import sampling

TERMS = 6000
QUANTILES = 65


def legendre_moments(eta: float) -> np.ndarray:
    """Moments f_l, l = 0 .. TERMS, of the screened Rutherford law: f_l = l (Q_(l-1) - y Q_l)."""
    y = 1.0 + 2.0 * eta
    q = np.zeros(TERMS + 1)
    q[0] = 0.5 * np.log((1.0 + eta) / eta)
    if TERMS * np.sqrt(eta) < 3.0:  # upward recurrence loses no more than a few digits
        q[1] = y * q[0] - 1.0
        for l in range(1, TERMS):
            q[l + 1] = ((2 * l + 1) * y * q[l] - l * q[l - 1]) / (l + 1)
    else:  # Miller's downward recurrence
        upper, here = 0.0, 1e-250
        raw = np.zeros(TERMS + 1)
        for l in range(TERMS + int(30.0 / np.sqrt(eta)) + 30, 0, -1):
            upper, here = here, ((2 * l + 1) * y * here - (l + 1) * upper) / l
            if l - 1 <= TERMS:
                raw[l - 1] = here
            if here > 1e200:
                upper, here, raw = upper * 1e-250, here * 1e-250, raw * 1e-250
        q = raw * (q[0] / raw[0])
    moments = np.arange(TERMS + 1) * (np.roll(q, 1) - y * q)
    moments[0] = 1.0
    return np.clip(moments, 0.0, 1.0)


def legendre_integrals(v: np.ndarray) -> np.ndarray:
    """(l + 1/2) int_(1 - v)^1 P_l = (P_(l-1) - P_(l+1))/2 at mu = 1 - v, (TERMS + 1, len(v)).

    The differences P_(l+1) - P_l are recurred, which keeps full accuracy at small v.
    """
    p, step = np.ones_like(v), -v
    out = np.empty((TERMS + 1, len(v)))
    out[0] = 0.5 * v
    for l in range(1, TERMS + 1):
        # P_l - P_(l-1) = step; P_(l+1) - P_l = (l step - (2 l + 1) v P_l)/(l + 1)
        p = p + step
        following = (l * step - (2 * l + 1) * v * p) / (l + 1)
        out[l] = -0.5 * (step + following)
        step = following
    return out


def mean_strength(a: float, u: np.ndarray) -> float:
    """<1 - mu> of the sampler: U linear in s = sqrt(1 - level) between the nodes `u` of descending s."""
    s = np.linspace(1.0, 0.0, len(u))
    slope = np.diff(u) / np.diff(s)
    flat = np.abs(np.diff(u)) < 1e-3 * (1.0 + a - u[1:])  # there the midpoint serves
    slope = np.where(flat, 1.0, slope)
    alpha, c = u[:-1] - slope * s[:-1], 1.0 + a

    def primitive(x: np.ndarray) -> np.ndarray:  # of x (x - alpha)/(c - x)
        return -0.5 * x * x - (c - alpha) * x - c * (c - alpha) * np.log(c - x)

    inner = (primitive(u[:-1]) - primitive(u[1:])) * 2.0 / slope**2
    middle = 0.5 * (u[:-1] + u[1:])
    constant = middle / (c - middle) * -np.diff(s * s)
    return float(2.0 * a * np.sum(np.where(flat, constant, inner)))


def main() -> None:
    etas = sampling.octave_nodes(sampling.ETA_MIN_EXP, sampling.ETA_MAX_EXP, sampling.ETA_PER_OCTAVE)
    strengths = sampling.octave_nodes(sampling.K1_MIN_EXP, sampling.K1_MAX_EXP, sampling.K1_PER_OCTAVE)
    k1 = -np.log1p(-strengths[:-1])
    v = np.concatenate([np.geomspace(1e-11, 0.05, 500), np.linspace(0.05, 2.0, 300)[1:]])
    integrals = legendre_integrals(v)
    levels = 1.0 - np.linspace(1.0, 0.0, QUANTILES) ** 2  # fine in the tail
    quantiles = np.empty((len(etas), len(strengths), QUANTILES), np.float32)
    widths = np.empty((len(etas), len(strengths)), np.float32)
    worst = 0.0
    for row, eta in enumerate(etas):
        f = legendre_moments(eta)
        g = 1.0 - f
        collisions = k1[:, None] / g[1]
        lf = collisions * f
        few = np.exp(-collisions)
        # e^-L (e^(L f) - 1 - L f), without cancellation where L f is small
        small = few * lf * lf * (0.5 + lf / 6.0)
        rest = np.where(lf > 1e-3, np.exp(-collisions * g) - few * (1.0 + lf), small)
        once = (1.0 + eta) * v / (v + 2.0 * eta)
        cdf = rest @ integrals + few * (1.0 + collisions * once)
        for column, strength in enumerate(strengths):
            if column == len(strengths) - 1:
                curve, none = v / 2.0, 0.0  # infinitely many collisions: isotropic
            else:
                curve, none = np.maximum.accumulate(np.clip(cdf[column], 0.0, 1.0)), few[column, 0]
            curve = np.append(none, curve)
            angle = np.append(0.0, v)
            median = np.interp(0.5 * (1.0 + none), curve, angle)
            a = median / (2.0 * (1.0 - median)) if median < 0.8 else 2.0
            a = min(max(a, 1e-12), 2.0)
            u = angle * (1.0 + a) / (angle + 2.0 * a)
            curve[-1] = 1.0
            keep = np.append(True, np.diff(curve) > 0.0)
            q = np.interp(levels, curve[keep], u[keep])
            q[levels <= none] = 0.0
            q[-1] = 1.0
            trimmed = brentq(lambda x, q=q, s=strength: mean_strength(x, q) - s, 1e-14, 100.0, xtol=1e-18)
            if none < 0.05:  # steps of three and more collisions, the table's purpose
                worst = max(worst, abs(trimmed / a - 1.0))
            quantiles[row, column], widths[row, column] = q, trimmed
    path = Path(__file__).parents[1] / "mc" / "data" / "goudsmit_saunderson.npz"
    np.savez_compressed(path, quantiles=quantiles, widths=widths)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"widths trimmed by at most {worst:.1%} beyond 3 collisions")


if __name__ == "__main__":
    main()
