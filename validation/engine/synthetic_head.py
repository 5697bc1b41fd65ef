"""A phase space made of nothing but random numbers, whose histories are strongly correlated groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mc.source.phase_space import Particles, PhaseSpace
from mc.source.phase_space_writer import write_phase_space
from phantoms.schema import Table


@dataclass(frozen=True)
class Head:
    """What an original history leaves on the plane z = 0: nothing, or a bunch of particles.

    The particles of a bunch lie close together, move in one direction, and share their highest energy and
    their weight, as those that directional splitting makes of one electron on the target. The head is
    symmetric about both axes.

    Parameters
    ----------
    histories : int
        Original histories of a file.
    recorded : float
        Share of them that leaves a bunch; their number in a file is random.
    max_particles : int
        Particles of a bunch: 1 to `max_particles`, all numbers equally likely.
    half_field, spread : float
        Half side of the square of the bunches' centres, and one sigma of a bunch [cm].
    """

    histories: int
    recorded: float
    max_particles: int
    half_field: float
    spread: float

    @classmethod
    def read(cls, entry: Table) -> Head:
        """The entry [head] of a case."""
        head = cls(
            int(entry.number("histories", above=0)),
            entry.number("recorded", above=0.0),
            int(entry.number("most", above=0)),
            entry.number("half_field", above=0.0),
            entry.number("spread", above=0.0),
        )
        if head.recorded > 1.0:
            raise entry.error("recorded", f"must be a share up to 1, found {head.recorded:g}")
        entry.finish()
        return head


DISTANCE = 60.0  # of the point that the particles seem to come from [cm]
BLUR = 0.02  # one sigma of their direction about that [rad]
ELECTRONS = 0.03  # share of the particles
HEAVY, SHARE_HEAVY = 3.0, 0.1  # weight of some bunches
TOP_ENERGY = (2.0, 6.0)  # between which the highest energy of a bunch lies [MeV]


def write_head(folder: Path, head: Head, number: int, seed: int = 1) -> PhaseSpace:
    """File `number` of a head: the files are independent of each other, disjoint parts of one long run."""
    random = np.random.default_rng((seed, number))
    bunches = max(1, random.binomial(head.histories, head.recorded))
    bunch = np.repeat(np.arange(bunches), random.integers(1, head.max_particles + 1, bunches))
    n = bunch.size
    centre = random.uniform(-head.half_field, head.half_field, (2, bunches))
    top = random.uniform(*TOP_ENERGY, bunches)
    weight = np.where(random.uniform(size=bunches) < SHARE_HEAVY, HEAVY, 1.0)
    x, y = centre[:, bunch] + head.spread * random.normal(size=(2, n))
    u, v = np.array([x, y]) / DISTANCE + BLUR * random.normal(size=(2, n))
    particles = Particles(
        kind=np.where(random.uniform(size=n) < ELECTRONS, 2, 1).astype(np.int8),
        energy=np.maximum(0.1, top[bunch] * random.uniform(size=n) ** 2),
        x=x,
        y=y,
        z=np.zeros(n),
        u=u,
        v=v,
        w=np.sqrt(1.0 - u * u - v * v),
        weight=weight[bunch],
        new_history=np.diff(bunch, prepend=-1) > 0,
    )
    return write_phase_space(folder / f"head{number}", particles, head.histories)
