"""Machine files for tests: one description of a linac of one beam, to which a test adds tables of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

SQUARE_10 = (-5.0, 5.0, -5.0, 5.0)  # x1, x2, y1, y2 in the isocentre plane [cm]


def machine_text(
    *tables: str,
    name: str = "TESTLINAC",
    fluence_mode: str = "FFF",
    field_cm: float | None = 10.0,
    **reference,
) -> str:
    """Text of the machine file of a 6 MV linac that gives 1 cGy per MU at 10 cm depth, SSD 90 cm.

    Parameters
    ----------
    *tables : str
        Further tables, as the functions below make them.
    name, fluence_mode : str
    field_cm : float
        Side of the reference field; None where a cone shapes it.
    **reference
        Further entries of the reference condition.
    """
    square = None if field_cm is None else [field_cm, field_cm]
    condition = {"ssd_cm": 90.0, "depth_cm": 10.0, "field_cm": square, "dose_per_mu_gy": 0.01}
    return (
        _entries(name=name, sad_cm=100.0)
        + table("[[energies]]", nominal_mv=6.0, fluence_mode=fluence_mode)
        + "".join(tables)
        + table("[energies.reference]", **condition, **reference)
    )


def table(header: str, **entries) -> str:
    """A table of a machine file, such as `[energies.head]`; an entry that is None is left out."""
    return f"\n{header}\n{_entries(**entries)}"


def phase_space(file: str, field_cm: Sequence[float] = SQUARE_10, plane: str = "below_jaws", **more) -> str:
    """A phase space of the beam."""
    return table("[[energies.phase_spaces]]", file=file, plane=plane, field_cm=list(field_cm), **more)


def tungsten(header: str, top_cm: float, bottom_cm: float, **entries) -> str:
    """A tungsten collimator, such as `[[collimators.jaws]]`."""
    return table(header, top_cm=top_cm, bottom_cm=bottom_cm, material="tungsten", **entries)


def focused_jaws(axis: str, top_cm: float, bottom_cm: float) -> str:
    """A pair of focused tungsten jaws."""
    return tungsten("[[collimators.jaws]]", top_cm, bottom_cm, axis=axis, ends="focused")


def focused_leaves(leaf_widths_cm: Sequence[Sequence[float]]) -> str:
    """Focused tungsten leaves that move along X, from [[number of leaves, width], ...]."""
    widths = [list(group) for group in leaf_widths_cm]
    return tungsten("[collimators.mlc]", 46.0, 54.0, axis="X", ends="focused", leaf_widths_cm=widths)


def simple_head(**entries) -> str:
    """A head of 6 MeV electrons on a millimetre of tungsten, above a phase space at 10 cm."""
    beam = table("[energies.head]", electron_mev=6.0, plane_z_cm=10.0, **entries)
    return beam + table("[[energies.head.parts]]", name="target", material="tungsten", z_cm=[0.0, 0.1])


def _entries(**entries) -> str:
    """Lines of entries: numbers, texts, booleans and lists of them are alike in TOML and JSON."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in entries.items() if value is not None)
