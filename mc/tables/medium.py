"""Medium: one material's macroscopic cross sections and stopping powers, from its elements."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mc.config import Physics
from mc.constants import AVOGADRO
from mc.tables.bremsstrahlung import BremsstrahlungSpectra
from mc.tables.density_effect import density_effect
from mc.tables.elements import Element
from mc.tables.inelastic import annihilation_cross_section, collision_cross_section, collision_stopping
from mc.tables.scattering import electronic_transport, nuclear_transport
from phantoms.errors import InputError
from phantoms.materials import Material

FRACTION_TOLERANCE = 0.002  # what rounded mass fractions of a published composition may miss of 1


class Medium:
    """A material on a grid of kinetic energies of its charged particles.

    Mass fractions are scaled to sum to 1.

    Parameters
    ----------
    material : Material
    library : dict of int -> Element
    physics : Physics
    energy : (n,) float64
        Kinetic energies [MeV] at which all arrays are given.

    Raises
    ------
    InputError
        If the material's numbers make no sense.
    """

    def __init__(
        self, material: Material, library: dict[int, Element], physics: Physics, energy: np.ndarray
    ) -> None:
        fractions = np.array([fraction for _, fraction in material.composition])
        if (
            len(fractions) == 0
            or not (fractions > 0).all()
            or not abs(fractions.sum() - 1.0) <= FRACTION_TOLERANCE
        ):
            raise InputError(
                f"material {material.name}",
                f"mass fractions must be above 0 and sum to 1, not {fractions.sum():.6g}",
                "correct the composition",
            )
        if not (0 < material.density < np.inf and 0 < material.mean_excitation < np.inf):
            raise InputError(
                f"material {material.name}",
                "density and mean excitation energy must be above 0",
                "correct them",
            )
        self.material, self.physics, self.energy = material, physics, energy
        self.elements = [library[z] for z, _ in material.composition]
        self.fractions = fractions / fractions.sum()
        self.atoms = AVOGADRO * self.fractions / [e.atomic_weight for e in self.elements]  # [1/g]
        self.electrons = float(self.atoms @ [e.z for e in self.elements])  # [1/g]

    @cached_property
    def density_effect(self) -> np.ndarray:
        """Density-effect correction delta, (n,)."""
        return density_effect(self.material, self.elements, self.energy)

    @cached_property
    def spectra(self) -> BremsstrahlungSpectra:
        """Bremsstrahlung spectra at the medium's energies."""
        return BremsstrahlungSpectra(self.elements, self.fractions, self.energy)

    def collision_stopping(self, positron: bool, threshold: float = np.inf) -> np.ndarray:
        """Collision stopping power of losses up to `threshold` [MeV], (n,) [MeV cm2/g]."""
        return self.electrons * collision_stopping(
            self.energy, threshold, positron, self.material.mean_excitation, self.density_effect
        )

    def restricted_stopping(self, positron: bool) -> np.ndarray:
        """Stopping power of soft collisions and soft bremsstrahlung, (n,) [MeV cm2/g].

        The radiative part is the electron's for positrons too: a positron radiates less, but where
        that is seen (below 1 MeV) radiation is a small part of its energy loss.
        """
        collision = self.collision_stopping(positron, self.physics.electron_cut)
        return collision + self.spectra.stopping(self.physics.photon_cut)

    def hard_cross_sections(self, positron: bool) -> np.ndarray:
        """Hard bremsstrahlung, hard Moller or Bhabha, annihilation in flight, (3, n) [cm2/g]."""
        hard = collision_cross_section(self.energy, self.physics.electron_cut, positron)
        annihilation = annihilation_cross_section(self.energy) if positron else np.zeros_like(self.energy)
        return np.stack(
            [
                self.spectra.cross_section(self.physics.photon_cut),
                self.electrons * hard,
                self.electrons * annihilation,
            ]
        )

    @cached_property
    def _nuclear_transport(self) -> np.ndarray:
        return nuclear_transport(self.elements, self.fractions, self.energy)

    def soft_transport(self, positron: bool) -> np.ndarray:
        """kappa_1 and kappa_2 of elastic scattering and soft collisions, (2, n) [cm2/g]."""
        return self._nuclear_transport + electronic_transport(
            self.elements, self.fractions, self.energy, self.physics.electron_cut, positron
        )
