"""The kinds of TOML files that mcverify reads, known by their keys."""

from __future__ import annotations

from collections.abc import Iterable

MACHINE, CASE, PROFILE, CURVE = "machine file", "case file", "profile", "CT calibration"
PHANTOM, CRITERIA, FILMS, FILM_CALIBRATION = (
    "phantom",
    "commissioning criteria",
    "film list",
    "film calibration",
)
STATEMENT, CONFIGURATION = "statement about scans", "configuration"

# by a key or keys that no other kind has
_SIGNS = {
    MACHINE: {"sad_cm", "energies"},
    CASE: {"overrides", "external"},
    PROFILE: {"gamma", "constraint", "difference", "constraints_from", "flip", "max_voxel_mm"},
    CURVE: {"hu_to_density"},
    PHANTOM: {"size_cm", "voxel_cm"},
    CRITERIA: {"passing_percent", "output_factor_percent"},
    FILM_CALIBRATION: {"red", "green", "blue"},
    FILMS: {"films", "lateral_response"},
    STATEMENT: {"rfa_x", "detector_radius_cm", "depth_shift_cm"},
    CONFIGURATION: {"threads"},
}


def kind_of(keys: Iterable[str]) -> str | None:
    """Which kind of file has these keys at its top level; None if that is not clear."""
    keys = set(keys)
    return next((kind for kind, signs in _SIGNS.items() if keys & signs), None)
