"""IBA files: the "RFA300 ASCII Measurement Dump (BDS format)" of OmniPro and myQA Accept (.asc).

A file begins with :MSR and the number of its measurements; each holds entries %KEY VALUE, then a line
"= X Y Z dose" per point [mm] up to :EOM; :EOF ends the file. %PRD, the depth of a profile, counts in 0.1 mm.

**X and Y are not named in the file.** In OmniPro's own coordinates X is inline, + away from the gantry, and Y
crossline: X = -y and Y = x of `validation.scans.scan`. Others export X crossline and Y inline (IEC). So where
it matters the user says which (`rfa_x` in scans.toml). %FSZ is taken in the order of X and Y.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from validation.scans.lines import OPEN_FIELDS, Entries, Lines
from validation.scans.scan import DIAGONAL, PDD, Scan, centred_field, kind_of, make_scan

SIGNATURE = ":MSR"
WEDGED = (4, 5, 6)  # of %MEA: wedge, its depth dose, its profile
X_AXES = ("inline", "crossline")
MM = 0.1  # [cm]
TENTH_MM = 0.01  # [cm]
SAME = 0.11  # by which statements of one position may differ [cm]
ENERGY = re.compile(r"(?P<number>[\d.,]+)\s*(?:MV|X)?\s*(?P<mode>FFF)?", re.IGNORECASE)  # 6.0, 6 MV, 6FFF
DETECTORS = {"ION": "ionisation chamber", "SEM": "semiconductor"}


def read_rfa(path: Path, x_axis: str | None = None) -> list[Scan]:
    """All scans of an RFA300 ASCII file.

    Parameters
    ----------
    path : Path
    x_axis : {'inline', 'crossline'}, optional
        What X is.

    Raises
    ------
    InputError
        If the file is broken or contradicts itself, or `x_axis` is needed and not given.
    """
    lines = Lines(path)
    if not lines.first_text.startswith(SIGNATURE):
        raise lines.error(1, f"an RFA300 file begins with {SIGNATURE} and the number of measurements")
    scans: list[Scan] = []
    entries, rows, count, complete = None, [], None, False
    for number, text in lines:
        line = text.split("#", 1)[0].strip()
        if not line or line.startswith((":SYS", "!")):
            continue
        if complete:
            raise lines.error(number, "stands behind :EOF")
        if line.startswith(SIGNATURE):
            announced = line.removeprefix(SIGNATURE).strip()
            count = int(lines.number(number, announced, "the number of scans")) if announced else None
        elif line.startswith("%"):
            if entries is None:
                entries, rows = Entries(lines, number), []
            key, *value = line.split(None, 1)
            entries.add(number, key.upper(), value[0] if value else "")
        elif line.startswith("="):
            if entries is None:
                raise lines.error(number, "a point without a measurement")
            cells = line[1:].split()
            if len(cells) != 4:
                raise lines.error(number, f"{line[:40]!r} is no point (= X Y Z dose)")
            rows.append([lines.number(number, cell, "a value") for cell in cells])
        elif line.split()[0] == ":EOM":
            if entries is None:
                raise lines.error(number, ":EOM without a measurement")
            scans.append(_scan(entries, np.array(rows).reshape(-1, 4), x_axis))
            entries = None
        elif line.split()[0] == ":EOF":
            complete = True
        else:
            raise lines.error(number, f"{line[:40]!r} is not understood")
    if not complete or entries is not None:
        raise lines.error(lines.last, "the file was cut off: no :EOF", "export it anew")
    if not scans or (count is not None and len(scans) != count):
        announced = "none" if count is None else str(count)
        raise lines.error(
            1, f":MSR announces {announced} measurements, there are {len(scans)}", "export it anew"
        )
    return scans


def _scan(entries: Entries, rows: np.ndarray, x_axis: str | None) -> Scan:
    """The scan that entries and rows (n, 4) make."""
    lines = entries.lines
    points = int(entries.number("%PTS"))
    if len(rows) != points or points == 0:
        raise entries.error("%PTS", f"there are {len(rows)} points", "export it anew")
    entries.must_be("%TYP", ("SCN",), "only scans are supported")
    stated = entries.must_be("%SCN", ("DPT", "PRO", "DIA"), "only depth doses, profiles and diagonals")
    modality, *energy = entries.text("%BMT").split(None, 1)
    beam = ENERGY.fullmatch(energy[0].strip()) if energy else None
    if modality.upper() != "PHO" or beam is None:
        raise entries.error("%BMT", "only photon beams with their energy are supported", "%BMT PHO 6.0")
    entries.must_be_zero("%WEG", "%GPO", "%CPO")
    if entries.number("%MEA", 0.0) in WEDGED:
        raise entries.error("%MEA", "is a measurement with a wedge", OPEN_FIELDS)
    size = [lines.number(entries.at("%FSZ"), cell, "%FSZ") for cell in entries.text("%FSZ").split()]
    if len(size) != 2:
        raise entries.error(
            "%FSZ", "a field has two widths", "scan with fields centred on the axis; others are not supported"
        )
    for key, row in (("%STS", rows[0]), ("%EDS", rows[-1])):
        if key in entries:
            corner = [lines.number(entries.at(key), cell, key) for cell in entries.text(key).split()]
            if len(corner) != 3 or np.abs(MM * (np.array(corner) - row[:3])).max() > SAME:
                raise entries.error(key, f"the points say {row[:3]}", "export it anew")
    if x_axis is None:
        if size[0] != size[1] or np.abs(rows[:, :2]).max() > 0.5:
            raise lines.error(
                entries.line,
                "the file does not state whether X is inline or crossline",
                f"say so in scans.toml beside it: rfa_x = {' or '.join(map(repr, X_AXES))}",
            )
        x_axis = X_AXES[0]  # on the axis of a square field both are the same
    x, y = (rows[:, 1], -rows[:, 0]) if x_axis == "inline" else (rows[:, 0], rows[:, 1])
    width_y, width_x = size if x_axis == "inline" else size[::-1]
    placed = np.column_stack([MM * x, MM * y, MM * rows[:, 2], rows[:, 3]])
    kind = kind_of(*placed[:, :3].T)
    if kind is not None and ((stated == "DPT") != (kind == PDD) or (stated == "PRO" and kind == DIAGONAL)):
        raise entries.error("%SCN", f"the points are those of a {kind} scan")
    depth = TENTH_MM * entries.number("%PRD", 0.0)
    mean = float(placed[:, 2].mean())
    if kind != PDD and depth > 0.0 and abs(depth - mean) > SAME:
        problem = f"a depth in 0.1 mm, but the points lie at {10 * mean:g} mm"
        raise entries.error("%PRD", problem, "check the units of the export")
    return make_scan(
        points=placed,
        kind=kind,
        unit="%",
        field_cm=centred_field(MM * width_x, MM * width_y),
        ssd_cm=MM * entries.number("%SSD"),
        nominal_mv=lines.number(entries.at("%BMT"), beam["number"], "%BMT"),
        fluence_mode="FFF" if beam["mode"] else None,
        detector=DETECTORS.get(entries.text("%FLD", "").upper(), "unknown"),
        detector_radius_cm=None,
        file=lines.path,
        line=entries.line,
        sad_cm=MM * entries.number("%BRD") if entries.number("%BRD", 0.0) > 0.0 else None,
    )
