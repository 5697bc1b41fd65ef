"""Configuration as frozen dataclasses: the schema of the TOML files and of the run options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Physics:
    """Cut-offs and step control of the transport. Energies are kinetic [MeV].

    `electron_cut` is at once the absorption energy of charged particles and the threshold of
    hard Moller and Bhabha collisions; `photon_cut` the absorption energy of photons and the
    threshold of hard bremsstrahlung.
    """

    electron_cut: float = 0.189
    photon_cut: float = 0.05
    range_fraction: float = 0.2  # longest step as a fraction of the residual range
    longest_step: float = 0.2  # longest step [g/cm2]
    k1_max: float = 0.2  # largest scattering strength of one step
    photon_split: int = 20  # interactions made of each photon's flight; 1 is analogue transport
    track_repeat: int = 32  # Compton interactions of a flight that share a track, at most; 1: none do
    range_rejection: float = 0.5  # charged particles below that cannot leave their voxel stop there
