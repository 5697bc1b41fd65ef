"""The kernels of `mc.backends.cuda` in numba-cuda's simulator, compared with the transport on the CPU.

Run as a program by `test_cuda_simulated.py`, with NUMBA_ENABLE_CUDASIM=1 and NUMBA_DISABLE_JIT=1: in the
simulator functions of numba.cuda are plain Python, which compiled ones cannot call, so all the others are so.
"""

from __future__ import annotations

import numpy as np

from mc.backends import cpu
from mc.backends import cuda as backend
from mc.backends.workspace import new_passage, new_solids
from mc.config import Physics
from mc.geometry import voxels
from mc.geometry.collimator import Placed
from mc.machine.collimators import Ends
from mc.numerics.rng import stream
from mc.plan.delivery import first_state, fixed
from mc.tables import build_tables
from mc.transport.collimation import collimate
from mc.transport.entry import normalised, read_particle
from mc.transport.scoring import LOST, N_COUNTERS
from phantoms.recipes import water_tank
from tests.mc.collimation import MATERIALS, built, jaws, leaves

THREADS = 3
SEED, BEAM, FIRST, REPLICA = 7, 2, 11, 1
PHYSICS = Physics(electron_cut=0.4, photon_cut=0.1, photon_split=4)
STARTS = np.array([0, 2, 2, 3, 5, 6])  # one history without particles
AS_IT_IS = np.ones(2)  # no mirror


def particles(z: float) -> np.ndarray:
    """Six photons and electrons that fan out from a height on the axis, and one that is no particle."""
    aims = np.array([-0.07, -0.02, 0.0, 0.01, 0.04, 0.09])
    rows = np.zeros((6, 9))
    rows[:, 0] = 0, 1, 0, 0, 7, 0
    rows[:, 1] = 2.0, 5.0, 6.0, 1.0, 3.0, 4.0
    rows[:, 4] = z
    rows[:, 5], rows[:, 6] = aims, aims[::-1] / 2.0
    rows[:, 7] = np.sqrt(1.0 - rows[:, 5] ** 2 - rows[:, 6] ** 2)
    rows[:, 8] = 1.0
    return rows


def same_showers(water: bool) -> None:
    """Tally and counters of `run_showers` are those of the CPU, to the last bit."""
    phantom = water_tank((4.0, 4.0, 4.0), (0.5, 0.5, 0.5))
    geometry, tables = voxels.build_voxels(phantom), build_tables(phantom.materials, PHYSICS)
    cuts, rows = cpu.cuts_of(PHYSICS), particles(0.0)
    delivery = fixed(np.eye(3), np.array([0.0, 0.0, -10.0]))
    expected, found = (cpu.empty_tally(geometry, tables, cuts, water) for _ in range(2))
    cpu_counters, counters = np.zeros((1, N_COUNTERS), np.int64), np.zeros((THREADS, N_COUNTERS), np.int64)
    use = cpu.PhaseSpaceUse(FIRST, BEAM, REPLICA, SEED, 0.0, AS_IT_IS, False, 1.0, 0.0)
    cpu.run_phase_space(
        rows, STARTS, use, delivery, None, None, None, geometry, tables, cuts, expected, cpu_counters
    )

    sources = backend.new_stacks(len(rows), 1, np.zeros)
    sources.rows[:, 0, :9], sources.depth[:] = rows, 1
    histories = backend.Histories(STARTS, FIRST, BEAM, REPLICA, SEED)
    workspace = backend.new_workspace(THREADS, 2000, 2, 256, np.ones)
    backend.run_showers[THREADS + 1, 1](
        sources, histories, first_state(delivery), geometry, tables, cuts, found, workspace, counters
    )
    cells = geometry.density.size
    assert expected.medium.any()
    np.testing.assert_array_equal(found.medium[:cells], expected.medium[:cells])
    if water:
        np.testing.assert_array_equal(found.water[:cells], expected.water[:cells])
    np.testing.assert_array_equal(counters.sum(axis=0), cpu_counters.sum(axis=0))
    assert counters[:, LOST].sum() == 1


def same_passage(electrons: bool) -> None:
    """What emerges in `run_collimators` is what emerges on the CPU, to the last bit."""
    collimator = built(jaws("Y", 28.0, Ends("focused")), leaves(Ends("rounded", 10.0)))
    placed = Placed(collimator, np.array([-5.0, 5.0, -2.0, 2.0]), np.r_[np.full(16, -1.0), np.full(16, 2.0)])
    tables, cuts, rows = build_tables(MATERIALS, PHYSICS), cpu.cuts_of(PHYSICS), particles(20.0)
    counters = np.zeros((THREADS, N_COUNTERS), np.int64)
    waiting, emerged = (backend.new_stacks(count, 32, np.ones) for count in (THREADS, len(rows)))
    workspace = backend.new_solids_workspace(THREADS, 1000, 2, np.ones) if electrons else None
    histories = backend.Histories(STARTS, FIRST, BEAM, REPLICA, SEED)
    backend.run_collimators[THREADS, 1](
        rows, histories, placed, tables, cuts, waiting, workspace, emerged, counters
    )
    assert counters[:, LOST].sum() == 1

    passage = new_passage(*placed, tables, cuts, np.zeros(N_COUNTERS, np.int64))
    solids = new_solids(True if electrons else None, passage)
    for history in range(len(STARTS) - 1):
        rng = stream(SEED, BEAM, backend.COLLIMATOR_STREAM, FIRST + history, REPLICA)
        for p in range(STARTS[history], STARTS[history + 1]):
            if rows[p, 0] > 2:
                assert emerged.depth[p, 0] == 0
                continue
            rng = collimate(passage, normalised(read_particle(rows, p, AS_IT_IS, 0.0)), solids, rng)
            count = passage.emerged.depth[0]
            assert emerged.depth[p, 0] == count
            np.testing.assert_array_equal(emerged.rows[p, :count, :9], passage.emerged.rows[:count, :9])
    assert emerged.depth.sum() > 0


if __name__ == "__main__":
    for flag in (False, True):
        same_passage(electrons=flag)
        same_showers(water=flag)
