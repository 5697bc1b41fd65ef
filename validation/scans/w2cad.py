"""Varian W2CAD files (.asc), as Eclipse imports and exports measured beam data.

A scan stands between $STOM and $ENOM: entries %KEY VALUE, then a line "<x y z dose>" per point [mm], x and y
in IEC 61217, z the depth. %TYPE is OPD (open depth dose), OPP (open profile) or DPR (diagonal); %FLSZ is
x*y [mm]. The format holds no energy: the user states it (`nominal_mv` in scans.toml).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from validation.scans.lines import Entries, Lines
from validation.scans.scan import CROSSLINE, DIAGONAL, INLINE, PDD, Scan, centred_field, make_scan

SIGNATURES = ("$NUMS", "$STOM")
KINDS = {("OPD", "Z"): PDD, ("OPP", "X"): CROSSLINE, ("OPP", "Y"): INLINE, ("DPR", "D"): DIAGONAL}
DETECTORS = {"CHA": "ionisation chamber", "DIO": "diode", "DIA": "diamond"}
MM = 0.1  # [cm]
SAME = 0.11  # by which statements of one depth may differ [cm]


def read_w2cad(path: Path) -> list[Scan]:
    """All scans of a W2CAD file.

    Raises
    ------
    InputError
        If the file is broken or contradicts itself, or holds wedged or electron beams.
    """
    lines = Lines(path)
    scans: list[Scan] = []
    entries, rows, count, complete = None, [], None, False
    for number, text in lines:
        line = text.split("#", 1)[0].strip()
        if not line or line.startswith("!"):
            continue
        if complete:
            raise lines.error(number, "stands behind $ENOF")
        if line.startswith("$NUMS") and entries is None:
            announced = line.removeprefix("$NUMS").strip()
            count = int(lines.number(number, announced, "the number of scans")) if announced else None
        elif line == "$STOM" and entries is None:
            entries, rows = Entries(lines, number), []
        elif line.startswith("%") and entries is not None:
            key, *value = line.split(None, 1)
            entries.add(number, key.upper(), value[0] if value else "")
        elif line.startswith("<") and entries is not None:
            cells = line.strip("<>").split()
            if not line.endswith(">") or len(cells) != 4:
                raise lines.error(number, f"{line[:40]!r} is no point (<x y z dose>)")
            rows.append([lines.number(number, cell, "a value") for cell in cells])
        elif line == "$ENOM" and entries is not None:
            scans.append(_scan(entries, np.array(rows).reshape(-1, 4)))
            entries = None
        elif line == "$ENOF" and entries is None:
            complete = True
        else:
            raise lines.error(number, f"{line[:40]!r} is out of place, or not understood")
    if entries is not None:
        raise lines.error(lines.last, "the last scan has no $ENOM: the file was cut off", "export it anew")
    if not scans or (count is not None and len(scans) != count):
        announced = "none" if count is None else f"{count} announced by $NUMS"
        raise lines.error(lines.last, f"holds {len(scans)} scans, {announced}", "export it anew")
    return scans


def _scan(entries: Entries, rows: np.ndarray) -> Scan:
    """The scan that entries and rows (n, 4) make."""
    lines = entries.lines
    entries.must_be("%BMTY", ("PHO",), "only photon beams are supported")
    curve = entries.must_be("%TYPE", ("OPD", "OPP", "DPR"), "only open depth doses, profiles, diagonals")
    axis = entries.must_be("%AXIS", ("X", "Y", "Z", "D"), "unknown axis")
    if (curve, axis) not in KINDS:
        raise entries.error("%AXIS", f"does not go with %TYPE {curve}")
    if len(rows) != int(entries.number("%PNTS")) or len(rows) == 0:
        raise entries.error("%PNTS", f"there are {len(rows)} points", "export it anew")
    size = [
        lines.number(entries.at("%FLSZ"), c, "%FLSZ") for c in re.split(r"[*xX\s]+", entries.text("%FLSZ"))
    ]
    if len(size) != 2:
        raise entries.error("%FLSZ", "a field has two widths, such as 100*100")
    if curve != "OPD" and abs(MM * (entries.number("%DPTH") - rows[:, 2].mean())) > SAME:
        raise entries.error("%DPTH", f"the points lie at {rows[:, 2].mean():g} mm", "export it anew")
    return make_scan(
        points=rows * [MM, MM, MM, 1.0],
        kind=KINDS[curve, axis],
        unit="%",
        field_cm=centred_field(MM * size[0], MM * size[1]),
        ssd_cm=MM * entries.number("%SSD"),
        nominal_mv=None,
        fluence_mode=None,
        detector=DETECTORS.get(entries.text("%DETY", "").upper(), "unknown"),
        detector_radius_cm=None,
        file=lines.path,
        line=entries.line,
    )
