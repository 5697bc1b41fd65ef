"""Summary of a phase space: energies, extent, weights, and the field it makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mc.source.iaea_header import KINDS
from mc.source.phase_space import PhaseSpace

STRIP = 1.0  # half width of the strip along an axis in which the field edge is determined [cm]
BIN = 0.1  # bin of the fluence profile [cm]
REACH = 30.0  # the profile covers -REACH..REACH [cm]


@dataclass(frozen=True)
class Summary:
    """What `mcverify inspect` shows of a phase space."""

    mean_energy: dict[str, float]  # weighted mean by kind of particle, for the kinds present [MeV]
    max_energy: float  # [MeV]
    lower: tuple[float, float, float]  # bounding box as x, y, z [cm]
    upper: tuple[float, float, float]
    weight_range: tuple[float, float]
    total_weight: float
    recorded_histories: int  # original histories with at least one particle
    field_cm: tuple[float, float, float, float]  # x1, x2, y1, y2 where the photon fluence halves
    plane_z: float  # plane of field_cm [cm]


def summarise(phase_space: PhaseSpace, plane_z: float) -> Summary:
    """Summary of `phase_space`; its field is measured in the plane z = `plane_z` [cm].

    Photons travel straight to the plane. The field edge is where their weighted fluence, along a strip about
    each axis, falls to half of its mean within `STRIP` of the axis; to about one `BIN`.
    """
    energy, weight, top = np.zeros(4), np.zeros(4), 0.0
    lower, upper = np.full(3, np.inf), np.full(3, -np.inf)
    lightest, heaviest = np.inf, -np.inf
    bins = np.linspace(-REACH, REACH, round(2 * REACH / BIN) + 1)
    profiles = np.zeros((2, len(bins) - 1))
    for p in phase_space.chunks():
        energy += np.bincount(p.kind, p.weight * p.energy, minlength=4)
        weight += np.bincount(p.kind, p.weight, minlength=4)
        top = max(top, p.energy.max())
        position = np.array((p.x, p.y, p.z))
        lower = np.minimum(lower, position.min(axis=1))
        upper = np.maximum(upper, position.max(axis=1))
        lightest, heaviest = min(lightest, p.weight.min()), max(heaviest, p.weight.max())
        downstream = (p.kind == 1) & (p.w != 0)
        path = (plane_z - p.z[downstream]) / p.w[downstream]
        across = (p.x[downstream] + path * p.u[downstream], p.y[downstream] + path * p.v[downstream])
        for axis in (0, 1):
            strip = np.abs(across[1 - axis]) < STRIP
            profiles[axis] += np.histogram(across[axis][strip], bins, weights=p.weight[downstream][strip])[0]
    return Summary(
        mean_energy={k: float(energy[i] / weight[i]) for i, k in enumerate(KINDS, start=1) if weight[i] > 0},
        max_energy=float(top),
        lower=tuple(lower.tolist()),
        upper=tuple(upper.tolist()),
        weight_range=(float(lightest), float(heaviest)),
        total_weight=float(weight.sum()),
        recorded_histories=phase_space.recorded,
        field_cm=_half_fluence(bins, profiles[0]) + _half_fluence(bins, profiles[1]),
        plane_z=plane_z,
    )


def _half_fluence(bins: np.ndarray, profile: np.ndarray) -> tuple[float, float]:
    """Outermost bin edges between which a fluence profile exceeds half its central value [cm]."""
    centres = 0.5 * (bins[1:] + bins[:-1])
    half = 0.5 * profile[np.abs(centres) < STRIP].mean()
    inside = np.flatnonzero(np.convolve(profile, np.full(3, 1 / 3), mode="same") > half)
    if len(inside) == 0:
        return float("nan"), float("nan")
    return float(bins[inside[0]]), float(bins[inside[-1] + 1])
