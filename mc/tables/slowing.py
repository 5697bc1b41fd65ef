"""Slowing down and multiple scattering, laid out for the electron kernel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from mc.config import Physics
from mc.numerics.sampling import LEVELS, RANGE_MAX_EXP, RANGE_MIN_EXP, RANGE_PER_OCTAVE, octave_nodes

GOUDSMIT_SAUNDERSON = Path(__file__).parents[1] / "data" / "goudsmit_saunderson.npz"


def slowing_table(
    energy: np.ndarray, distance: np.ndarray, strength: np.ndarray, physics: Physics
) -> np.ndarray:
    """Energy and scattering strength as linear functions of the range, interval by interval.

    Parameters
    ----------
    energy, distance, strength : (n,) float64
        Range [g/cm2] and cumulative scattering strength at ascending kinetic energies [MeV].
    physics : Physics
        A full step uses up `range_fraction` of the residual range, `longest_step`, or a strength of `k1_max`.

    Returns
    -------
    (nr, 6) float64
        Columns as in `mc.physics.energy_loss`.
    """
    node = octave_nodes(RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE)
    energies, strengths = (_of_range(node, distance, values) for values in (energy, strength))
    step = np.diff(node)
    energy_slope, strength_slope = np.diff(energies) / step, np.diff(strengths) / step
    low = node[:-1]
    reduced = low - np.minimum(physics.range_fraction * low, physics.longest_step)
    full_step = np.minimum(strengths[:-1] - _of_range(reduced, distance, strength), physics.k1_max)
    columns = (
        energies[:-1] - energy_slope * low,
        energy_slope,
        strengths[:-1] - strength_slope * low,
        strength_slope,
        1.0 / strength_slope,
        full_step,
    )
    return np.stack(columns, axis=-1)


def starting_intervals(distance: np.ndarray) -> np.ndarray:
    """Interval of the range grid at ranges [g/cm2] of any shape, int32."""
    node = octave_nodes(RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE)
    return np.clip(np.searchsorted(node, distance, side="right") - 1, 0, len(node) - 2).astype(np.int32)


def _of_range(wanted: np.ndarray, distance: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate smoothly in the range; beyond its ends the slope stays."""
    curve = PchipInterpolator(distance, values)
    inside = np.clip(wanted, distance[0], distance[-1])
    slope = np.where(wanted < distance[0], curve(distance[0], 1), curve(distance[-1], 1))
    return curve(inside) + slope * (wanted - inside)


@cache
def goudsmit_saunderson() -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (n_spin, n_eta, n_k1, nq) and widths (n_spin, n_eta, n_k1) of multiple scattering, float32.

    Made by scripts/build_goudsmit_saunderson.py; used by `mc.physics.elastic`.
    """
    with np.load(GOUDSMIT_SAUNDERSON) as table:
        quantiles, widths = table["quantiles"], table["widths"]
    if quantiles.shape[-1] != LEVELS + 1:
        raise ValueError(f"{GOUDSMIT_SAUNDERSON}: {quantiles.shape[-1]} quantiles, {LEVELS + 1} wanted")
    return quantiles, widths
