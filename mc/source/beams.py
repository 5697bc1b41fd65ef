"""Simple sources for water tanks and engine tests: a point source, or a parallel beam, on an axis."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.transport.particle import Particle


class Beam(NamedTuple):
    """A beam along +z of the patient coordinates that fills a rectangle on the plane ``z = surface``.

    Particles leave a point on the axis, `distance` above the surface, isotropically in solid angle
    within the field; at an infinite distance they are parallel and uniform. Energies are drawn from a
    histogram of `edges` and cumulative probability `cumulative`, uniform within a bin.
    """

    kind: int  # mc.transport.particle.PHOTON, ELECTRON or POSITRON
    edges: np.ndarray  # (n + 1,) [MeV]; two equal edges are one energy
    cumulative: np.ndarray  # (n + 1,), from 0 to 1
    x1: float  # the field on the surface [cm]
    x2: float
    y1: float
    y2: float
    surface: float
    distance: float


def spectrum(edges: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges and cumulative probability of a histogram spectrum of `counts` per bin."""
    cumulative = np.concatenate([[0.0], np.cumsum(np.asarray(counts, float))])
    return np.ascontiguousarray(edges, float), cumulative / cumulative[-1]


@njit
def sample_beam(beam, rng):
    """Sample a particle on the surface; and the rng."""
    a, rng = uniform(rng)
    i = 0
    while beam.cumulative[i + 1] < a:
        i += 1
    width = beam.cumulative[i + 1] - beam.cumulative[i]
    share = (a - beam.cumulative[i]) / width
    energy = beam.edges[i] + share * (beam.edges[i + 1] - beam.edges[i])
    while True:
        a, rng = uniform(rng)
        x = beam.x1 + a * (beam.x2 - beam.x1)
        a, rng = uniform(rng)
        y = beam.y1 + a * (beam.y2 - beam.y1)
        if math.isinf(beam.distance):
            return Particle(beam.kind, energy, x, y, beam.surface, 0.0, 0.0, 1.0, 1.0), rng
        # solid angle seen per unit area of the surface falls with the cube of the cosine
        cosine = beam.distance / math.sqrt(x * x + y * y + beam.distance * beam.distance)
        a, rng = uniform(rng)
        if a <= cosine * cosine * cosine:
            u, v = x / beam.distance * cosine, y / beam.distance * cosine
            return Particle(beam.kind, energy, x, y, beam.surface, u, v, cosine, 1.0), rng
