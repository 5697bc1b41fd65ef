"""Materials: composition, density and mean excitation energy, from a cited data table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Material:
    """A homogeneous medium.

    Parameters
    ----------
    name : str
    density : float
        Nominal density [g/cm3], at which the density effect is computed.
    composition : tuple of (int, float)
        (atomic number, mass fraction), mass fractions summing to 1.
    mean_excitation : float
        I-value [eV].
    source : str
        Where the row comes from.
    """

    name: str
    density: float
    composition: tuple[tuple[int, float], ...]
    mean_excitation: float
    source: str = ""
