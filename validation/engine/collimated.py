"""Photons sent through collimators, where they meet the isocentre plane, and the dose they give in water."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from mc.backends.workspace import new_passage, new_solids
from mc.config import Physics
from mc.geometry.collimator import Collimator
from mc.numerics.jit import njit
from mc.numerics.rng import stream
from mc.plan.delivery import fixed
from mc.run.batch import PlacedBeam
from mc.run.batch_statistics import REPEATS
from mc.run.options import RunOptions, StopRule
from mc.run.simulate import simulate
from mc.source.phase_space import Particles, PhaseSpace, open_phase_space
from mc.source.phase_space_writer import write_phase_space
from mc.tables import Tables
from mc.transport.collimation import collimate
from mc.transport.context import Cuts
from mc.transport.particle import WEIGHT, Particle
from mc.transport.scoring import LOST, N_COUNTERS, OVERFLOWS
from phantoms.phantom import Phantom

COLUMNS = WEIGHT + 1  # kind, energy, x, y, z, u, v, w, weight
CAPACITY = 2  # rows of result for each particle sent; few send out more than one


@njit(_nrt=True)
def send(
    particles, starts, collimator, jaws, leaves, tables, cuts, electrons, counters, seed, result, history
):
    """Send histories of particles (n, 9) through; fills `result` (m, 9), `history` (m,); their number."""
    passage = new_passage(collimator, jaws, leaves, tables, cuts, counters)
    solids = new_solids(electrons, passage)
    n = 0
    for h in range(starts.size - 1):
        rng = stream(seed, 0, 0, h, 0)
        for p in range(starts[h], starts[h + 1]):
            r = particles[p]
            particle = Particle(int(r[0]), r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8])
            rng = collimate(passage, particle, solids, rng)
            for c in range(passage.emerged.depth[0]):
                if n == result.shape[0]:
                    counters[OVERFLOWS] += 1
                    break
                for column in range(COLUMNS):
                    result[n, column] = passage.emerged.rows[c, column]
                history[n] = h
                n += 1
    return n


def collimated(
    particles: np.ndarray,
    starts: np.ndarray,
    collimator: Collimator,
    jaws: np.ndarray,
    leaves: np.ndarray,
    tables: Tables,
    cuts: Cuts,
    seed: int = 1,
    electrons: Literal[True] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What emerges, rows (m, 9) as of `mc.transport.collimation.collimate`, and the history of each.

    Parameters
    ----------
    particles : (n, 9) float64
        Rows likewise, above the collimators.
    starts : (histories + 1,) int64
        First particle of each history.
    electrons : True or None
        Whether secondary electrons of the collimators are followed.
    """
    capacity = CAPACITY * len(particles) + 100
    result, history = np.empty((capacity, COLUMNS)), np.empty(capacity, np.int64)
    counters = np.zeros(N_COUNTERS, np.int64)
    n = send(
        particles, starts, collimator, jaws, leaves, tables, cuts, electrons,
        counters, seed, result, history,
    )  # fmt: skip
    if counters[LOST] or counters[OVERFLOWS]:
        raise RuntimeError(f"{counters[LOST]} particles lost, {counters[OVERFLOWS]} overflows")
    return result[:n], history[:n]


def read_rows(path: Path) -> tuple[np.ndarray, np.ndarray, PhaseSpace]:
    """Particles of a phase space as rows (n, 9), and where its histories start."""
    space = open_phase_space(path)
    p = space.read(0, len(space))
    rows = np.column_stack([p.kind - 1.0, p.energy, p.x, p.y, p.z, p.u, p.v, p.w, p.weight])
    starts = np.union1d([0], np.flatnonzero(p.new_history))
    return rows, np.append(starts, len(rows)), space


def fan(
    n: int, half_field: float, edges: np.ndarray, cumulative: np.ndarray, seed: int, *, sad: float, z: float
) -> np.ndarray:
    """`n` photons (n, 9) from a point target at height `z`, uniform over a square of the isocentre plane.

    Parameters
    ----------
    half_field : float
        Half its side [cm].
    edges, cumulative : (bins + 1,) float64
        Spectrum, as of `mc.source.beams.Beam`.
    """
    rng = np.random.default_rng(seed)
    a = rng.random(n)
    energy = np.interp(a, cumulative, edges)
    aim = np.column_stack([*rng.uniform(-half_field, half_field, (2, n)), np.full(n, sad)])
    direction = aim / np.linalg.norm(aim, axis=1)[:, None]
    return np.column_stack([np.zeros(n), energy, aim * (z / sad), direction, np.ones(n)])


def at_plane(rows: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Where particles meet a plane across the beam, X_b and Y_b [cm]."""
    distance = (z - rows[:, 4]) / rows[:, 7]
    return rows[:, 2] + distance * rows[:, 5], -(rows[:, 3] + distance * rows[:, 6])


def tank_dose(
    phantom: Phantom,
    rows: np.ndarray,
    history: np.ndarray,
    histories: int,
    ssd: float,
    physics: Physics,
    folder: Path,
    *,
    passes: int = 1,
    threads: int | None = None,
):
    """Dose per history [Gy] in a phantom with its surface at z = 0; the particles go through a file.

    Returns
    -------
    mc.run.simulate.Simulation
    """
    new = np.append(True, history[1:] != history[:-1])
    x, y, z, u, v, w, weight = rows[:, 2:].T
    particles = Particles((rows[:, 0] + 1).astype(np.int8), rows[:, 1], x, y, z, u, v, w, weight, new)
    stem = folder / "collimated"
    space = write_phase_space(stem, particles, histories)
    beam = PlacedBeam(1, space, fixed(np.eye(3), np.array([0.0, 0.0, -ssd])), 1.0)
    try:
        stop = StopRule(None, passes * REPEATS * histories)
        return simulate(phantom, [beam], RunOptions(physics, stop, threads=threads))
    finally:
        for suffix in (".IAEAphsp", ".IAEAheader"):
            stem.with_name(stem.name + suffix).unlink()
