"""Element data from the compact file that scripts/build_tables.py compiles (mc/data/SOURCES.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np

from phantoms.errors import InputError
from phantoms.materials import Material
from phantoms.materials import load_elements as load_symbols

DATA_FILE = Path(__file__).parents[1] / "data" / "elements.h5"
FORMAT_VERSION = 2


@dataclass(frozen=True, eq=False)
class Element:
    """Data of one element. Energies in MeV, atomic cross sections in barn unless said.

    Parameters
    ----------
    z : int
    atomic_weight : float
        [g/mol]
    photon : (5, n) float64
        Energy, coherent, incoherent, pair and triplet cross section, at energies off edges and thresholds.
    photoelectric : (2, m) float64
        Energy and cross section; an absorption edge occurs twice, once with either side's value.
    photoelectric_segments : (s,) int
        First column of each segment between edges.
    shell_ratio : (r,) float64
        Photon energy over binding energy, at which `shell_share` is known.
    shell_binding : (s,) float64
        Binding energies of the K, L1, L2, L3 shells, as many as exceed the lowest energy of the tables.
    shell_share : (s, r) float64
        Share of photoabsorptions by this shell among those by it and the shells outside it.
    transitions : (4, t) float64
        Shell, shell of the remaining vacancy (-1: none that is followed), photon energy (0: radiationless),
        probability; the rest are transitions after which nothing is followed.
    form_factor, scattering : (2, k) float64
        Momentum transfer x = sin(theta/2)/lambda [1/Angstrom]; F(x) or S(x), linear between nodes.
    elastic_energy : (n_e,) float64
    elastic : (2, n_e) float64
        First and second transport cross section of elastic scattering of electrons [cm2].
    bremsstrahlung_energy : (n_t,) float64
        Kinetic energy T.
    bremsstrahlung_fraction : (n_k,) float64
        Photon energy over kinetic energy, k/T.
    bremsstrahlung : (n_t, n_k) float64
        beta^2/Z^2 k dsigma/dk [mb].
    oscillators : (2, o) float64
        Electrons of a shell (below 0: conduction electrons of the solid) and ionisation energy [eV].
    """

    z: int
    atomic_weight: float
    photon: np.ndarray
    photoelectric: np.ndarray
    photoelectric_segments: np.ndarray
    shell_ratio: np.ndarray
    shell_binding: np.ndarray
    shell_share: np.ndarray
    transitions: np.ndarray
    form_factor: np.ndarray
    scattering: np.ndarray
    elastic_energy: np.ndarray
    elastic: np.ndarray
    bremsstrahlung_energy: np.ndarray
    bremsstrahlung_fraction: np.ndarray
    bremsstrahlung: np.ndarray
    oscillators: np.ndarray


@cache
def data_bytes() -> bytes:
    """Content of the data file, for hashing."""
    return DATA_FILE.read_bytes()


def refuse_unknown(material: Material) -> None:
    """Refuse a material that contains an element without data, by name."""
    with h5py.File(DATA_FILE) as file:
        known = sorted(int(name) for name in file if name.isdigit())
    symbols = {element.number: symbol for symbol, element in load_symbols().items()}
    missing = [symbols.get(z, f"Z={z}") for z, _ in material.composition if z not in known]
    if missing:
        spans: list[list[int]] = []  # first and last of each unbroken sequence
        for z in known:
            if spans and spans[-1][1] == z - 1:
                spans[-1][1] = z
            else:
                spans.append([z, z])
        there = ", ".join(symbols[a] if a == b else f"{symbols[a]} to {symbols[b]}" for a, b in spans)
        raise InputError(
            f"material {material.name}",
            f"holds {', '.join(missing)}, of which there are no cross sections",
            f"there are {there}; put another element in place of a trace",
        )


def load_elements(atomic_numbers: Iterable[int]) -> dict[int, Element]:
    """Read the elements of these atomic numbers.

    Raises
    ------
    InputError
        If the data hold no such element.
    """
    common = ("elastic_energy", "bremsstrahlung_energy", "bremsstrahlung_fraction", "shell_ratio")
    of_element = (
        "photon photoelectric photoelectric_segments form_factor scattering elastic bremsstrahlung"
        " oscillators shell_binding shell_share transitions"
    ).split()
    elements = {}
    with h5py.File(DATA_FILE) as file:
        if file.attrs["format_version"] != FORMAT_VERSION:
            raise InputError(DATA_FILE, "is of another version", "run scripts/build_tables.py or reinstall")
        shared = {name: file[name][:] for name in common}
        for z in sorted(set(atomic_numbers)):
            if f"{z:03d}" not in file:
                raise InputError(f"element Z={z}", "has no cross-section data")
            group = file[f"{z:03d}"]
            arrays = {name: group[name][:] for name in of_element}
            arrays = {name: a if a.dtype.kind == "i" else a.astype(float) for name, a in arrays.items()}
            elements[z] = Element(z=z, atomic_weight=float(group.attrs["atomic_weight"]), **shared, **arrays)
    return elements
