"""A phase space for tests: photons of a point source, two to a history."""

from __future__ import annotations

import numpy as np

from mc.source.phase_space import Particles


def point_source(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, z: float = 50.0) -> Particles:
    """Photons of 0.5 to 4 MeV at x, y (n,) [cm] of the plane z [cm], moving away from the target at z = 0."""
    n, path = len(x), np.sqrt(x**2 + y**2 + z**2)
    return Particles(
        kind=np.ones(n, np.int8),
        energy=rng.uniform(0.5, 4.0, n),
        x=x,
        y=y,
        z=np.full(n, z),
        u=x / path,
        v=y / path,
        w=z / path,
        weight=np.ones(n),
        new_history=np.arange(n) % 2 == 0,
    )
