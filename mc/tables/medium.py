"""Medium: one material's macroscopic cross sections and stopping powers, from its atoms."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mc.config import Physics
from mc.numerics.constants import AVOGADRO
from mc.tables.bremsstrahlung import BremsstrahlungSpectra
from mc.tables.density_effect import density_effect
from mc.tables.elements import Element
from mc.tables.inelastic import annihilation_cross_section, collision_cross_section, collision_stopping
from mc.tables.scattering import electronic_transport, nuclear_transport, rutherford_prefactor
from phantoms.errors import InputError
from phantoms.materials import Material

FRACTION_TOLERANCE = 0.002  # what rounded mass fractions of a published composition may miss of 1


class Atom:
    """What an atom does to charged particles whatever its surroundings; computed once for all materials.

    Parameters
    ----------
    element : Element
    physics : Physics
    energy : (n,) float64
        Kinetic energies [MeV].

    Attributes
    ----------
    radiative_stopping : (n,) float64
        Of soft photons [MeV cm2].
    bremsstrahlung : (n,) float64
        Cross section of hard photons [cm2].
    soft_transport : (2, 2, n) float64
        Electron and positron; first and second transport cross section of soft collisions [cm2].
    """

    def __init__(self, element: Element, physics: Physics, energy: np.ndarray) -> None:
        self.element, self.physics, self.energy = element, physics, energy
        spectra = BremsstrahlungSpectra(element, energy)
        self.radiative_stopping = spectra.stopping(physics.photon_cut)
        self.bremsstrahlung = spectra.cross_section(physics.photon_cut)
        self.soft_transport = nuclear_transport(element, energy) + np.stack(
            [
                electronic_transport(element, energy, physics.electron_cut, positron)
                for positron in (False, True)
            ]
        )


class Medium:
    """A material on the kinetic energies of its atoms. Mass fractions are scaled to sum to 1.

    Parameters
    ----------
    material : Material
    library : dict of int -> Atom
        The material's atoms, all of the same physics and energies.

    Raises
    ------
    InputError
        If the material's numbers make no sense.
    """

    def __init__(self, material: Material, library: dict[int, Atom]) -> None:
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
        self.material = material
        self.atoms = [library[z] for z, _ in material.composition]
        self.elements = [atom.element for atom in self.atoms]
        self.energy, self.physics = self.atoms[0].energy, self.atoms[0].physics
        weights = np.array([element.atomic_weight for element in self.elements])
        self.per_gram = AVOGADRO * fractions / fractions.sum() / weights  # atoms of each element [1/g]
        self.electrons = float(self.per_gram @ [element.z for element in self.elements])  # [1/g]

    @cached_property
    def density_effect(self) -> np.ndarray:
        """Density-effect correction delta, (n,)."""
        return density_effect(self.material, self.elements, self.energy)

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
        radiative = self.per_gram @ np.stack([atom.radiative_stopping for atom in self.atoms])
        return self.collision_stopping(positron, self.physics.electron_cut) + radiative

    def hard_cross_sections(self, positron: bool) -> np.ndarray:
        """Hard bremsstrahlung, hard Moller or Bhabha, annihilation in flight, (3, n) [cm2/g]."""
        brems = self.per_gram @ np.stack([atom.bremsstrahlung for atom in self.atoms])
        collision = collision_cross_section(self.energy, self.physics.electron_cut, positron)
        annihilation = annihilation_cross_section(self.energy) if positron else np.zeros_like(self.energy)
        return np.stack([brems, self.electrons * collision, self.electrons * annihilation])

    @property
    def rutherford(self) -> np.ndarray:
        """Prefactor of Rutherford scattering by nuclei and electrons, Z (Z + 1) each atom, (n,) [cm2/g]."""
        z = np.array([element.z for element in self.elements])
        return self.per_gram @ (z * (z + 1.0)) * rutherford_prefactor(self.energy)

    def soft_transport(self, positron: bool) -> np.ndarray:
        """kappa_1 and kappa_2 of elastic scattering and soft collisions, (2, n) [cm2/g]."""
        of_atoms = np.stack([atom.soft_transport[int(positron)] for atom in self.atoms])
        return np.tensordot(self.per_gram, of_atoms, axes=1)
