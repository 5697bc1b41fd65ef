"""NIST's mass attenuation coefficients and ESTAR stopping powers from the shared folder: the oracles."""

import csv
from pathlib import Path

import numpy as np

from phantoms.materials import Material

# Compositions and I values of ICRU 37 and ICRU 44, as NIST lists them with the figures compared here.
WATER = Material("water", 1.0, ((1, 0.111894), (8, 0.888106)), 75.0)
AIR = Material("air", 1.20479e-3, ((6, 0.000124), (7, 0.755267), (8, 0.231781), (18, 0.012827)), 85.7)
PMMA = Material("pmma", 1.19, ((1, 0.080538), (6, 0.599848), (8, 0.319614)), 74.0)
ALUMINIUM = Material("aluminium", 2.6989, ((13, 1.0),), 166.0)
TITANIUM = Material("titanium", 4.54, ((22, 1.0),), 233.0)
TUNGSTEN = Material("tungsten", 19.3, ((74, 1.0),), 727.0)
BONE = Material(
    "cortical bone",
    1.92,
    (
        (1, 0.034),
        (6, 0.155),
        (7, 0.042),
        (8, 0.435),
        (11, 0.001),
        (12, 0.002),
        (15, 0.103),
        (16, 0.003),
        (20, 0.225),
    ),
    112.0,
)
LUNG = Material(
    "lung",
    0.26,
    (
        (1, 0.103),
        (6, 0.105),
        (7, 0.031),
        (8, 0.749),
        (11, 0.002),
        (15, 0.002),
        (16, 0.003),
        (17, 0.003),
        (19, 0.002),
    ),
    75.2,
)


def mass_attenuation(shared: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Energy [MeV] and mu/rho [cm2/g] of one NIST table, 10 keV to 20 MeV."""
    path = shared / "data/physics/nist-xaamdi" / name
    rows = [line.split(",") for line in path.read_text().splitlines() if not line.startswith("#")]
    energy, attenuation, _ = np.array(rows, float).T
    kept = (energy >= 0.01) & (energy <= 20.0)
    return energy[kept], attenuation[kept]


def estar(shared: Path) -> dict[str, dict]:
    """ESTAR of every substance, 12.5 keV to 20 MeV: name -> rho, I, Z and columns (n,) float64.

    Columns: energy [MeV]; collision, radiative, total [MeV cm2/g]; range [g/cm2]; delta.
    """
    names = {
        "energy": "MeV",
        "collision": "MSP.el",
        "radiative": "MSP.rad",
        "total": "MSP.tot",
        "range": "range.CSDA",
        "delta": "density.effect",
    }
    substances: dict[str, list[dict]] = {}
    with open(shared / "data/physics/estar/nist_estar.csv", newline="") as file:
        for row in csv.DictReader(file):
            if float(row["MeV"]) <= 20.0:
                substances.setdefault(row["id"], []).append(row)
    return {
        name: {"rho": float(rows[0]["rho"]), "I": float(rows[0]["I"]), "Z": int(rows[0]["Z"])}
        | {column: np.array([float(row[theirs]) for row in rows]) for column, theirs in names.items()}
        for name, rows in substances.items()
    }
