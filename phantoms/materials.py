"""Materials: composition, density and mean excitation energy, from a cited data table."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from phantoms.errors import InputError

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
    with open(DATA / "elements.toml", "rb") as file:
        return {symbol: Element(*row) for symbol, row in tomllib.load(file).items()}


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
    path = Path(path) if path is not None else DATA / "materials.toml"
    return {name: _material(path, name, row) for name, row in read_toml(path).items()}


def with_own_materials(path: str | Path) -> dict[str, Material]:
    """Return the shipped materials and those of a user's table, whose names must be new."""
    materials = load_materials()
    for name, material in load_materials(path).items():
        if name in materials:
            raise InputError(path, f"material {name} is shipped already", "give yours a name of its own")
        materials[name] = material
    return materials


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file of the user; InputError if it cannot be read or parsed."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, f"is not valid TOML: {error}") from None


def is_positive(value: object) -> bool:
    """Whether `value` is a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _material(path: Path, name: str, row: object) -> Material:
    where = f"{path}, material {name}"
    if not isinstance(row, dict):
        raise InputError(where, "is not a table", "see phantoms/data/materials.toml for the layout")
    unknown = set(row) - {"density", "composition", "mean_excitation", "state", "source"}
    if unknown:
        raise InputError(where, f"unknown key {sorted(unknown)[0]}")
    density, fractions = row.get("density"), row.get("composition")
    if not is_positive(density):
        raise InputError(where, f"density {density!r} is not a number above 0", "give it in g/cm3")
    if not (isinstance(fractions, dict) and fractions and all(map(is_positive, fractions.values()))):
        raise InputError(where, "composition must give mass fractions above 0 by element symbol")
    elements = load_elements()
    for symbol in fractions:
        if symbol not in elements:
            raise InputError(where, f"unknown element {symbol}")
    total = math.fsum(fractions.values())
    if abs(total - 1) > 1e-3:
        raise InputError(where, f"mass fractions sum to {total:.4f}, not 1")
    state = row.get("state", "condensed")
    if state not in STATES:
        raise InputError(where, f"unknown state {state!r}", "one of " + ", ".join(STATES))
    mean_excitation = row.get("mean_excitation")
    if mean_excitation is None:
        mean_excitation = bragg_mean_excitation(fractions, state)
    elif not is_positive(mean_excitation):
        raise InputError(where, f"mean_excitation {mean_excitation!r} is not a number above 0", "in eV")
    composition = sorted((elements[symbol].number, w / total) for symbol, w in fractions.items())
    return Material(name, float(density), tuple(composition), float(mean_excitation), row.get("source", ""))
