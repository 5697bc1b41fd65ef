"""pyRadMC as an engine of the benchmark: its Warp engine on the CPU, with cross sections handed to it.

pyRadMC ships no data. Its analytic cross sections know water alone, and the libraries its tables are made of
are to be downloaded; so it is handed tables in its own format, photons from our element data and electrons
from its own formulas, and transports the media of all. In water that costs 3 % of its speed at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from benchmark_engines import ELECTRON_CUT, PHOTON_CUT, Case, installed

from mc.numerics.constants import AVOGADRO, MEV_PER_G_TO_GY
from mc.tables.elements import load_elements
from mc.tables.photons import photon_cross_sections

BARN = 1e-24  # [cm2]
HIGHEST = 30.0  # energy of the tables, pyRadMC's default [MeV]
BONE_PER_TITANIUM = 0.45961 / 0.52130  # electrons per gram as Z/A; ICRU Report 37 and the composition of bone


class PyRadMC:
    """pyRadMC 0.2 on one core, its chunk size its own choice: 4,096 and 65,536 were measured to be slower.

    Two batches a run, its least, since the benchmark takes no engine's word for sigma. It has no titanium:
    bone of the same electron density stands for it. Its very first run builds scattering tables, minutes
    long, and keeps them in the user's cache. Its source spreads particles as that of ompMC.
    """

    name = "pyradmc"

    @staticmethod
    def version() -> str | None:
        """Its version, None where it is not installed."""
        return installed("pyradmc", "warp")

    def __init__(self, case: Case) -> None:
        import pyradmc
        import warp
        from pyradmc.data import materials

        warp.config.quiet = True
        indices = {
            "air": materials.AIR,
            "water": materials.WATER,
            "lung": materials.LUNG,
            "bone": materials.CORTICAL_BONE,
            "titanium": materials.CORTICAL_BONE,
        }
        phantom, beam = case.phantom, case.beam
        names = [material.name for material in phantom.materials]
        lookup = np.array([indices[name] for name in names])
        self._scale = np.array([BONE_PER_TITANIUM if name == "titanium" else 1.0 for name in names])
        self._scale = self._scale[phantom.material]
        grid = pyradmc.VoxelGrid(
            phantom.grid.shape[::-1],
            phantom.grid.spacing[::-1],
            np.ascontiguousarray((phantom.density * self._scale).T),
            np.ascontiguousarray(lookup[phantom.material].T),
            tuple(phantom.grid.lower[::-1]),
        )
        edges = beam.edges.copy()
        edges[0] = max(edges[0], 1e-3)  # it wants no zero; what lies below the cut-off counts for nothing
        self._source = pyradmc.SpectralBeamSource(
            pyradmc.Spectrum(edges, np.diff(beam.cumulative)),
            (0.0, 0.0, beam.surface - beam.distance),
            (0.0, 0.0, beam.surface),
            beam.x2 - beam.x1,
            beam.y2 - beam.y1,
        )
        sections = pyradmc.TabulatedCrossSections(
            _tables(materials.MATERIALS[: 1 + int(lookup.max())]), grid.max_density_by_material()
        )
        self._engine = pyradmc.WarpEngine(grid, sections, device="cpu")
        self._seed = 0

    def run(self, histories: int) -> np.ndarray:
        """Mean dose per particle with the next seed (nz, ny, nx) [Gy]."""
        self._seed += 1
        result = self._engine.run(self._source, histories, 2, self._seed, pcut=PHOTON_CUT, ecut=ELECTRON_CUT)
        return np.asarray(result.dose).T * MEV_PER_G_TO_GY


def _tables(media: tuple) -> Any:
    """Return pyRadMC's `TabulatedData` of its first materials, on the grids that its own compiler chooses."""
    from pyradmc.data import berger_seltzer, goudsmit_saunderson
    from pyradmc.data.interface import PhotonProcess
    from pyradmc.data.tables import TABLE_POINTS
    from pyradmc.data.tabulated.model import TabulatedData

    photons = np.geomspace(0.5 * PHOTON_CUT, HIGHEST, TABLE_POINTS)
    electrons = np.geomspace(0.5 * ELECTRON_CUT, HIGHEST, TABLE_POINTS)
    coherent, incoherent, photoelectric, pair, triplet = np.moveaxis(
        [_attenuation(medium.composition, photons) for medium in media], 0, 1
    )

    def row_of_each(quantity: Callable[[Any, float], float]) -> np.ndarray:
        return np.array([[quantity(medium, energy) for energy in electrons] for medium in media])

    def radiative(medium: Any, energy: float) -> float:
        fit = berger_seltzer.radiative_fit_coefficients(medium.radiative_anchors)
        return berger_seltzer.radiative_stopping(energy, fit)

    def csda_range(medium: Any) -> np.ndarray:
        log_energy, path = berger_seltzer.csda_range_table(medium)
        return np.interp(np.log(electrons), log_energy, path)

    return TabulatedData(
        photon_energies=photons,
        mu_over_rho={
            PhotonProcess.COMPTON: incoherent,
            PhotonProcess.PHOTOELECTRIC: photoelectric,
            PhotonProcess.PAIR: pair + triplet,
            PhotonProcess.RAYLEIGH: coherent,
        },
        electron_energies=electrons,
        restricted_stopping=row_of_each(
            lambda medium, energy: berger_seltzer.restricted_collision_stopping(energy, medium, ELECTRON_CUT)
        ),
        radiative_stopping=row_of_each(radiative),
        moller=row_of_each(
            lambda medium, energy: berger_seltzer.restricted_moller_cross_section(
                energy, medium, ELECTRON_CUT
            )
        ),
        csda_range=np.array([csda_range(medium) for medium in media]),
        scattering_power=row_of_each(
            lambda medium, energy: goudsmit_saunderson.transport_moment_scattering_power(
                medium.composition, energy, ELECTRON_CUT
            )
        ),
        delta_cut=ELECTRON_CUT,
        materials=tuple(medium.name for medium in media),
        provenance="photons: XCOM, by mcverify; electrons: pyRadMC's Berger-Seltzer and Moliere formulas",
    )


def _attenuation(composition: tuple[tuple[int, float], ...], energy: np.ndarray) -> np.ndarray:
    """Partial mass attenuation coefficients of a mixture (5, n) [cm2/g], in the order of our element data."""
    elements = load_elements(z for z, _ in composition)
    return sum(
        weight * AVOGADRO / elements[z].atomic_weight * BARN * photon_cross_sections(elements[z], energy)
        for z, weight in composition
    )
