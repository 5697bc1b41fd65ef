"""The engines of the benchmark, ours and its peers, behind one interface: prepared once, run often.

Each is driven through its public interface only. Peers are optional and imported when used; what follows
from their interfaces is said in their classes, so that nobody takes a choice of ours for one of theirs.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass

import numpy as np

import mc
from mc.compute.beam_dose import BeamTransport
from mc.config import Physics
from mc.run.options import RunOptions
from mc.source.beams import Beam
from phantoms.phantom import Phantom

ELECTRON_CUT = 0.189  # kinetic [MeV]
PHOTON_CUT = 0.05  # [MeV]


@dataclass(frozen=True, eq=False)
class Case:
    """A phantom and the photon beam on it.

    Parameters
    ----------
    name : str
    phantom : Phantom
        Of air, water, lung, bone and titanium of `validation.engine.tank`; its surface at z = 0.
    beam : Beam
        A centred photon field from a point source on the axis x = y = 0.
    """

    name: str
    phantom: Phantom
    beam: Beam


def installed(distribution: str, *modules: str) -> str | None:
    """Version of a peer; None where it, or a module it needs beside its own, is missing."""
    if not all(importlib.util.find_spec(module) for module in (distribution, *modules)):
        return None
    return importlib.metadata.version(distribution)


OMPMC_MEDIA = {
    "air": "AIR700ICRU",
    "water": "H2O700ICRU",
    "lung": "LUNG700ICRU",
    "bone": "ICRPBONE700ICRU",
    "titanium": "TI700ICRU",
}
# CPU time to 1 % with 1, 5, 10, 20 and 40 interactions a photon was measured to be alike within 11 % in all
# cases (least in water with 20, elsewhere with 1 to 10, by 6 %); 80 cost 20 % more, and so did Russian
# roulette of electrons. Range rejection below 1 MeV saved up to 8 %.
OMPMC_REDUCTION = {"n_split": 20, "esave": 1.0}


class Ours:
    """mcverify on one thread, with the options of a plan check."""

    name = "mcverify"

    @staticmethod
    def version() -> str | None:
        """Its version, None where it is not installed."""
        return mc.__version__

    def __init__(self, case: Case) -> None:
        physics = Physics(electron_cut=ELECTRON_CUT, photon_cut=PHOTON_CUT)
        self._transport = BeamTransport(case.phantom, case.beam, RunOptions(physics, threads=1))
        self._next = 0

    def run(self, histories: int) -> np.ndarray:
        """Mean dose per particle of histories that no run before had (nz, ny, nx) [Gy]."""
        dose = self._transport.run(self._next, histories)
        self._next += histories
        return dose / histories


class OmpMC:
    """ompMC on one thread, with the variance reduction that was measured to serve it best.

    Its media are those of 700icru.pegs4dat: charged particles are produced and followed down to 0.189 MeV.
    Its dose was found to be per particle, whatever the field. Two batches a run, its least, since the
    benchmark takes no engine's word for sigma. Its source spreads particles evenly over the field, ours
    evenly in solid angle: 0.4 % in the corners. It reads its data anew in every run, which the fixed cost of
    a run allows for.
    """

    name = "ompmc"

    @staticmethod
    def version() -> str | None:
        """Its version, None where it is not installed."""
        return installed("ompmc")

    def __init__(self, case: Case) -> None:
        import ompmc

        phantom, beam = case.phantom, case.beam
        self._module, self._seed = ompmc, 0
        self._geometry = ompmc.Geometry(
            *(phantom.grid.edges(axis) for axis in (2, 1, 0)),
            [OMPMC_MEDIA[material.name] for material in phantom.materials],
            np.asfortranarray(phantom.density.T, float),
            np.asfortranarray(phantom.material.T.astype(np.int32) + 1),
        )
        self._source = ompmc.CollimatedSource(beam.distance, beam.x1, beam.x2, beam.y1, beam.y2)
        self._spectrum = ompmc.Spectrum.from_histogram(
            beam.edges[1:], np.diff(beam.cumulative), e_min=beam.edges[0]
        )

    def run(self, histories: int) -> np.ndarray:
        """Mean dose per particle with the next seed (nz, ny, nx) [Gy]."""
        self._seed += 1
        physics = self._module.Physics(
            global_ecut=ELECTRON_CUT + 0.511,
            global_pcut=PHOTON_CUT,
            seeds=(self._seed, 33),
            **OMPMC_REDUCTION,
        )
        dose, _ = self._module.calc_cube(
            self._geometry, self._source, self._spectrum, physics, n_histories=histories, n_batches=2
        )
        return dose.T
