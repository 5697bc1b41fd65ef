"""Configuration as frozen dataclasses: the schema of the TOML files and of the run options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Physics:
    """Cut-offs and step control of the transport.

    Parameters
    ----------
    electron_cut : float
        Absorption energy of charged particles, and threshold of hard Moller and Bhabha collisions [MeV].
    photon_cut : float
        Absorption energy of photons, and threshold of hard bremsstrahlung [MeV].
    range_fraction : float
        Longest step as a fraction of the residual range.
    longest_step : float
        [g/cm2]
    k1_max : float
        Largest scattering strength of one step.
    photon_split : int
        Interactions made of each photon's flight; 1 is analogue transport.
    track_repeat : int
        Compton interactions of a flight that share a track, at most; 1: none do.
    range_rejection : float
        Charged particles below it that cannot leave their voxel stop there [MeV].
    """

    electron_cut: float = 0.189
    photon_cut: float = 0.05
    range_fraction: float = 0.2
    longest_step: float = 0.2
    k1_max: float = 0.2
    photon_split: int = 20
    track_repeat: int = 32
    range_rejection: float = 0.5
