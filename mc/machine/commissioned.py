"""What a machine file states about the commissioning of a beam: the table `[energies.commissioned]`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from phantoms.schema import Table


@dataclass(frozen=True)
class Commissioned:
    """A comparison with measurements that a beam has passed (`mcverify commission`).

    Parameters
    ----------
    date : str
        ISO 8601.
    scans : int
        That were judged.
    output_factors : int
        That were judged.
    fields : str
        What was measured, such as "3 x 3 to 20 x 20 cm".
    passing_percent : float
        Share of the points of all scans with gamma up to 1.
    criterion : str
        Of gamma, such as "1 %/1 mm".
    criteria : str
        Name of the criteria that were met.
    version : str
        Of mcverify.
    sha256 : str
        Of the entries that were judged (`mc.machine.beam_model.judged_sha256`).
    """

    date: str
    scans: int
    output_factors: int
    fields: str
    passing_percent: float
    criterion: str
    criteria: str
    version: str
    sha256: str


def read_commissioned(table: Table) -> Commissioned:
    """Read `[energies.commissioned]`; every unknown, missing or impossible entry is an InputError."""
    found = Commissioned(
        date=table.text("date"),
        scans=int(table.number("scans", above=0.0)),
        output_factors=int(table.number("output_factors", above=-1.0, default=0.0)),
        fields=table.text("fields"),
        passing_percent=table.number("passing_percent", above=0.0),
        criterion=table.text("criterion"),
        criteria=table.text("criteria"),
        version=table.text("version"),
        sha256=table.text("sha256"),
    )
    table.finish()
    try:
        date.fromisoformat(found.date)
    except ValueError:
        raise table.error("date", f"{found.date!r} is no date", 'write it as "2026-11-12"') from None
    return found
