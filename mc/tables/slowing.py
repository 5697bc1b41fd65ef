"""Slowing down and multiple scattering, laid out for the electron kernel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from mc.config import Physics
from mc.sampling import ENERGY_MAX_EXP, ENERGY_MIN_EXP, ENERGY_PER_OCTAVE, octave_nodes

GOUDSMIT_SAUNDERSON = Path(__file__).parents[1] / "data" / "goudsmit_saunderson.npz"


def slowing_table(range_k1: np.ndarray, physics: Physics) -> np.ndarray:
    """Range, energy and scattering strength as linear functions of the range, interval by interval.

    Parameters
    ----------
    range_k1 : (nm, 2, ne, 2) float64
        Range [g/cm2] and cumulative scattering strength at the energy nodes.
    physics : Physics
        A full step uses up `range_fraction` of the residual range, `longest_step`, or a strength of `k1_max`.

    Returns
    -------
    (nm, 2, ne - 1, 6) float64
        Columns as in `mc.physics.energy_loss`.
    """
    energy = octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, ENERGY_PER_OCTAVE)
    distance, strength = range_k1[..., 0], range_k1[..., 1]
    low = distance[..., :-1]
    step = np.diff(distance, axis=-1)
    energy_slope = np.diff(energy) / step
    strength_slope = np.diff(strength, axis=-1) / step
    full_step = np.empty_like(low)
    for m, charge in np.ndindex(low.shape[:2]):
        r, k = distance[m, charge], strength[m, charge]
        reduced = r[:-1] - np.minimum(physics.range_fraction * r[:-1], physics.longest_step)
        # below the first node kappa_1 is taken as there
        rest = np.interp(reduced, r, k) - strength_slope[m, charge, 0] * np.maximum(0.0, r[0] - reduced)
        full_step[m, charge] = np.minimum(k[:-1] - rest, physics.k1_max)
    columns = (
        low,
        energy[:-1] - energy_slope * low,
        energy_slope,
        strength[..., :-1] - strength_slope * low,
        strength_slope,
        full_step,
    )
    return np.stack(columns, axis=-1)


@cache
def goudsmit_saunderson() -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (n_spin, n_eta, n_k1, nq) and widths (n_spin, n_eta, n_k1) of multiple scattering, float32.

    Made by scripts/build_goudsmit_saunderson.py; used by `mc.physics.elastic`.
    """
    with np.load(GOUDSMIT_SAUNDERSON) as table:
        return table["quantiles"], table["widths"]
