"""Compute mc/data/goudsmit_saunderson.npz, the universal multiple-scattering table.

For single scattering by f(mu) ~ (1 - spin (1 - mu)/2)/(1 - mu + 2 eta)^2, a screened Rutherford law with
the leading term of Mott's spin factor (McKinley and Feshbach, Phys. Rev. 74 (1948) 1759), the angular
distribution after a path depends on eta, spin and the strength 1 - <mu> = 1 - exp(-K1) only (Goudsmit and
Saunderson, Phys. Rev. 57 (1940) 24). Unscattered and once-scattered particles are split off and the rest is
summed in Legendre polynomials (Kawrakow and Bielajew, Nucl. Instrum. Meth. B 134 (1998) 325):

    P(mu > m) = e^-L [1 + L C1(m)] + sum_l (l + 1/2) e^-L [e^(L f_l) - 1 - L f_l] int_m^1 P_l

with L the mean number of collisions, f_l the Legendre moments of f and C1 its cumulative distribution.
Stored are quantiles of U, 1 - mu = 2 a U/(1 + a - U), in which the distribution is nearly flat, at
levels 1 - s^4 with equal steps of s; `a` is trimmed so that interpolation linear in the level has exactly
the wanted strength.

Usage: python scripts/build_goudsmit_saunderson.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from mc.numerics import sampling

TERMS = 6000
QUANTILES = 129


def legendre_moments(eta: float) -> tuple[np.ndarray, np.ndarray]:
    """Legendre functions Q_l(1 + 2 eta) and moments l (Q_(l-1) - y Q_l) of the screened Rutherford law."""
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
    return q, np.clip(moments, 0.0, 1.0)


def with_spin(eta: float, spin: float, q: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Moments of the law with its spin factor, from those without.

    The integral of (1 - mu) P_l/(1 - mu + 2 eta)^2 is 2 Q_l less 2 eta times that of P_l/(1 - mu + 2 eta)^2.
    """
    rutherford = (1.0 + spin * eta) / (2.0 * eta * (1.0 + eta))
    return np.clip((rutherford * moments - spin * q) / (rutherford - spin * q[0]), 0.0, 1.0)


def single_scattering(eta: float, spin: float, v: np.ndarray) -> np.ndarray:
    """Share of single scatterings by 1 - mu < `v`."""

    def integral(t: np.ndarray | float) -> np.ndarray | float:
        return (1.0 + spin * eta) * t / (2.0 * eta * (t + 2.0 * eta)) - 0.5 * spin * np.log1p(t / (2.0 * eta))

    return integral(v) / integral(2.0)


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


def mean_strength(a: float, u: np.ndarray, levels: np.ndarray) -> float:
    """<1 - mu> of the sampler: U linear in the level between the nodes `u`."""
    low, high, c = u[:-1], u[1:], 1.0 + a
    wide = high - low > 1e-4 * (c - high)  # elsewhere the midpoint serves
    span = np.where(wide, high - low, 1.0)
    mean = np.where(
        wide, c * np.log((c - low) / (c - high)) / span - 1.0, 0.5 * (low + high) / (c - 0.5 * (low + high))
    )
    return float(2.0 * a * np.sum(mean * np.diff(levels)))


def quantiles_of(
    v: np.ndarray, curve: np.ndarray, none: float, strength: float
) -> tuple[np.ndarray, float, float]:
    """Quantiles of U, its `a` by the median, and `a` trimmed to the strength.

    Parameters
    ----------
    v, curve : (n,) float64
        1 - mu, and the probability of less.
    none : float
        Probability of no scattering at all.
    strength : float
        1 - <mu>.
    """
    levels = 1.0 - np.linspace(1.0, 0.0, QUANTILES) ** 4  # fine in the tail
    curve, angle = np.append(none, curve), np.append(0.0, v)
    median = np.interp(0.5 * (1.0 + none), curve, angle)
    a = median / (2.0 * (1.0 - median)) if median < 0.8 else 2.0
    a = min(max(a, 1e-12), 2.0)
    u = angle * (1.0 + a) / (angle + 2.0 * a)
    curve[-1] = 1.0
    keep = np.append(True, np.diff(curve) > 0.0)
    q = np.interp(levels, curve[keep], u[keep])
    q[levels <= none] = 0.0
    q[-1] = 1.0
    return q, a, brentq(lambda x: mean_strength(x, q, levels) - strength, 1e-14, 100.0, xtol=1e-18)


def main() -> None:
    etas = sampling.octave_nodes(sampling.ETA_MIN_EXP, sampling.ETA_MAX_EXP, sampling.ETA_PER_OCTAVE)
    strengths = sampling.octave_nodes(sampling.K1_MIN_EXP, sampling.K1_MAX_EXP, sampling.K1_PER_OCTAVE)
    k1 = -np.log1p(-strengths[:-1])
    v = np.concatenate([np.geomspace(1e-11, 0.05, 500), np.linspace(0.05, 2.0, 300)[1:]])
    integrals = legendre_integrals(v)
    shape = len(sampling.SPINS), len(etas), len(strengths)
    quantiles, widths = np.empty((*shape, QUANTILES), np.float32), np.empty(shape, np.float32)
    worst = 0.0
    for row, eta in enumerate(etas):
        q_l, rutherford = legendre_moments(eta)
        for layer, spin in enumerate(sampling.SPINS):
            f = with_spin(eta, spin, q_l, rutherford)
            g = 1.0 - f
            collisions = k1[:, None] / g[1]
            lf = collisions * f
            few = np.exp(-collisions)
            # e^-L (e^(L f) - 1 - L f), without cancellation where L f is small
            small = few * lf * lf * (0.5 + lf / 6.0)
            rest = np.where(lf > 1e-3, np.exp(-collisions * g) - few * (1.0 + lf), small)
            cdf = rest @ integrals + few * (1.0 + collisions * single_scattering(eta, spin, v))
            for column, strength in enumerate(strengths):
                if column == len(strengths) - 1:
                    curve, none = v / 2.0, 0.0  # infinitely many collisions: isotropic
                else:
                    curve, none = np.maximum.accumulate(np.clip(cdf[column], 0.0, 1.0)), few[column, 0]
                q, a, trimmed = quantiles_of(v, curve, none, strength)
                if none < 0.05:  # steps of three and more collisions, the table's purpose
                    worst = max(worst, abs(trimmed / a - 1.0))
                quantiles[layer, row, column], widths[layer, row, column] = q, trimmed
    path = Path(__file__).parents[1] / "mc" / "data" / "goudsmit_saunderson.npz"
    np.savez_compressed(path, quantiles=quantiles, widths=widths)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"widths trimmed by at most {worst:.1%} beyond 3 collisions")


if __name__ == "__main__":
    main()
