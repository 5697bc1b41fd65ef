"""Materials: composition, density and mean excitation energy, from a cited data table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from phantoms.errors import InputError
from phantoms.schema import Table, read_table

DATA = Path(__file__).parent / "data"

# I-values [eV] of elements bound in compounds: ICRU Report 37 (1984), Table 5.1. Elements that are not
# named have 1.13 times their own I in condensed compounds and their own I in gases.
BOUND_CONDENSED = {"H": 19.2, "C": 81.0, "N": 82.0, "O": 106.0, "F": 112.0, "Cl": 180.0}
BOUND_GAS = {"H": 19.2, "C": 70.0, "N": 82.0, "O": 97.0}
STATES = ("condensed", "gas", "alloy")


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


class Element(NamedTuple):
    """Atomic number, Z/A [mol/g] and I-value of the element alone [eV]."""

    number: int
    z_over_a: float
    mean_excitation: float


@cache
def load_elements() -> dict[str, Element]:
    """Read the elements by symbol, from data/elements.toml."""
    table = read_table(DATA / "elements.toml")
    rows = {symbol: table.numbers(symbol, 3, above=0.0) for symbol in table}
    return {symbol: Element(int(number), *rest) for symbol, (number, *rest) in rows.items()}


def bragg_mean_excitation(fractions: Mapping[str, float], state: str = "condensed") -> float:
    """Return the I-value of a mixture by Bragg additivity [eV].

    ln I = sum(w Z/A ln I_element) / sum(w Z/A), ICRU Report 37 (1984) eq. 5.1, with the I-values of
    bound elements of its Table 5.1.

    Parameters
    ----------
    fractions : mapping of str to float
        Mass fraction of each element, by symbol.
    state : {"condensed", "gas", "alloy"}
        "condensed" and "gas" use the bound values of their phase; "alloy" the elements' own values.
    """
    elements = load_elements()
    bound = {"condensed": BOUND_CONDENSED, "gas": BOUND_GAS, "alloy": {}}[state]
    scale = 1.13 if state == "condensed" else 1.0
    electrons = log_sum = 0.0
    for symbol, fraction in fractions.items():
        element = elements[symbol]
        mean_excitation = bound.get(symbol, scale * element.mean_excitation)
        if len(fractions) == 1:
            mean_excitation = element.mean_excitation
        electrons += fraction * element.z_over_a
        log_sum += fraction * element.z_over_a * math.log(mean_excitation)
    return math.exp(log_sum / electrons)


def load_materials(path: str | Path | None = None) -> dict[str, Material]:
    """Read a table of materials.

    Parameters
    ----------
    path : path, optional
        A TOML file laid out as data/materials.toml, the default.

    Returns
    -------
    dict of str to Material
        Mass fractions are normalised to 1 (they must sum to it within 1e-3). A missing I-value is found
        by `bragg_mean_excitation`.
    """
    return dict(_shipped()) if path is None else _read(Path(path))


@cache
def _shipped() -> Mapping[str, Material]:
    return _read(DATA / "materials.toml")


def _read(path: Path) -> dict[str, Material]:
    table = read_table(path)
    layout = "see phantoms/data/materials.toml for the layout"
    return {name: _material(table.table(name, layout), name) for name in table}


def with_own_materials(path: str | Path) -> dict[str, Material]:
    """Return the shipped materials and those of a user's table, whose names must be new."""
    materials = load_materials()
    for name, material in load_materials(path).items():
        if name in materials:
            raise InputError(path, f"material {name} is shipped already", "give yours a name of its own")
        materials[name] = material
    return materials


def _material(table: Table, name: str) -> Material:
    table.expect("density composition", "state mean_excitation source")
    density = table.number("density", above=0.0, remedy="in g/cm3")
    elements, composition = load_elements(), table.table("composition", "mass fractions by element symbol")
    fractions = {symbol: composition.number(symbol, above=0.0) for symbol in composition}
    for symbol in fractions:
        if symbol not in elements:
            raise composition.error(symbol, "is no element", "write its symbol, such as Ca")
    total = math.fsum(fractions.values())
    if abs(total - 1) > 1e-3:
        raise table.error("composition", f"mass fractions sum to {total:.4f}, not 1")
    state = table.choice("state", STATES, "condensed")
    if "mean_excitation" in table:
        mean_excitation = table.number("mean_excitation", above=0.0, remedy="in eV")
    else:
        mean_excitation = bragg_mean_excitation(fractions, state)
    source = table.text("source", "")
    table.finish()
    by_number = sorted((elements[symbol].number, w / total) for symbol, w in fractions.items())
    return Material(name, density, tuple(by_number), mean_excitation, source)
