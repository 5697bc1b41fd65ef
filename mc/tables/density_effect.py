"""Density effect on collision stopping, from the oscillators of the material's atomic shells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from mc.numerics.constants import AVOGADRO, CLASSICAL_ELECTRON_RADIUS, ELECTRON_MASS, HC
from mc.tables.elements import Element
from phantoms.errors import InputError
from phantoms.materials import Material

INSULATOR_FRACTION = 0.01  # mass fraction of elements without conduction electrons that ends conduction


def plasma_energy(electron_density: float) -> float:
    """Plasma energy [eV] of electrons of this density [1/cm3]."""
    h_bar_c = HC * 1e6 / (2.0 * np.pi) * 1e-8  # [eV cm]
    return h_bar_c * np.sqrt(4.0 * np.pi * CLASSICAL_ELECTRON_RADIUS * electron_density)


def _oscillators(material: Material, elements: Sequence[Element]) -> tuple[np.ndarray, np.ndarray, float]:
    """Oscillator strengths and ionisation energies [eV] of bound electrons, strength of free electrons.

    Conduction electrons are free in metals, alloys and graphite, and bound with their atom's ionisation
    energy in a compound with elements that have none (Sternheimer, Berger and Seltzer 1984).
    """
    fractions = np.array([fraction for _, fraction in material.composition])
    insulating = sum(f for f, e in zip(fractions, elements, strict=True) if (e.oscillators[0] > 0).all())
    conducting = insulating < INSULATOR_FRACTION
    strengths, energies, free = [], [], 0.0
    for fraction, element in zip(fractions, elements, strict=True):
        for electrons, energy in element.oscillators.T:
            strength = fraction / element.atomic_weight * abs(electrons)
            if electrons < 0 and conducting:
                free += strength
            else:
                strengths.append(strength)
                energies.append(energy)
    total = sum(strengths) + free
    return np.array(strengths) / total, np.array(energies), free / total


def density_effect(material: Material, elements: Sequence[Element], energy: np.ndarray) -> np.ndarray:
    """Density-effect correction delta of the collision stopping power.

    Sternheimer's model with the factor that makes the oscillators reproduce the mean excitation energy:
    Sternheimer, Berger and Seltzer, At. Data Nucl. Data Tables 30 (1984) 261.

    Parameters
    ----------
    material : Material
        Its nominal density and mean excitation energy are used.
    elements : sequence of Element
        In the order of the composition.
    energy : (n,) float64
        Kinetic energy [MeV].

    Returns
    -------
    (n,) float64
    """
    strength, ionisation, free = _oscillators(material, elements)
    electrons = sum(
        fraction * element.z / element.atomic_weight
        for (_, fraction), element in zip(material.composition, elements, strict=True)
    )
    plasma = plasma_energy(electrons * AVOGADRO * material.density)

    def log_excitation(factor: float) -> float:
        bound = 0.5 * np.sum(strength * np.log((factor * ionisation / plasma) ** 2 + 2.0 / 3.0 * strength))
        return bound + (0.5 * free * np.log(free) if free else 0.0)

    target = np.log(material.mean_excitation / plasma)
    if not log_excitation(1e-6) < target < log_excitation(1e6):
        raise InputError(
            f"material {material.name}",
            f"a mean excitation energy of {material.mean_excitation} eV does not fit its density",
            "check both",
        )
    factor = brentq(lambda f: log_excitation(f) - target, 1e-6, 1e6, xtol=1e-12, rtol=1e-12)
    bound2 = (factor * ionisation / plasma) ** 2
    all_bound2 = np.append(bound2, 0.0) if free else bound2
    all_strength = np.append(strength, free) if free else strength
    level2 = np.append(bound2 + 2.0 / 3.0 * strength, free) if free else bound2 + 2.0 / 3.0 * strength

    tau = energy / ELECTRON_MASS
    momentum2 = tau * (tau + 2.0)  # (beta gamma)^2
    goal = 1.0 / momentum2  # 1/beta^2 - 1
    # Solve goal = sum f / (bound2 + l2) for l2 > 0: from a table of its logarithm, then Newton's method in
    # logarithms, where the function is nearly straight; no solution means no density effect.
    polarised = goal < (np.inf if free else np.sum(strength / bound2))

    def log_dispersion(log_l2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        l2 = np.exp(log_l2)[:, None]
        terms = all_strength / (all_bound2 + l2)
        value = terms.sum(axis=1)
        slope = -np.sum(terms * l2 / (all_bound2 + l2), axis=1) / value
        return np.log(value), slope

    table = np.linspace(-40.0, np.log(momentum2.max()) + 1.0, 400)  # sum f / (bound2 + l2) < 1 / l2
    log_l2 = np.interp(-np.log(goal), -log_dispersion(table)[0], table)
    for _ in range(2):
        value, slope = log_dispersion(log_l2)
        log_l2 = log_l2 - np.clip((value - np.log(goal)) / slope, -0.1, 0.1)
    l2 = np.exp(log_l2)
    delta = np.sum(all_strength * np.log1p(l2[:, None] / level2), axis=1) - l2 / (1.0 + tau) ** 2
    return np.where(polarised, delta, 0.0)
