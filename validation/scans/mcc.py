"""PTW MEPHYSTO files (.mcc), "CC-Export".

A file holds scans between BEGIN_SCAN and END_SCAN: entries KEY=VALUE, then between BEGIN_DATA and END_DATA a
line per point: position [mm], corrected reading and, in some files, the reading of the reference detector,
which is not used. Positions count along the scan: depth below the surface for a PDD, distance from the axis
for a profile; SCAN_OFFAXIS_* says how far the line lies from the axis. The axes' directions are entries:
INPLANE_AXIS_DIR is TARGET_GUN (+ towards the gantry, as +y here) or GUN_TARGET; CROSSPLANE_AXIS_DIR is
LEFT_RIGHT (as +x here, seen facing the gantry) or RIGHT_LEFT.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from validation.scans.lines import Entries, Lines
from validation.scans.scan import CROSSLINE, INLINE, PDD, Scan, centred_field, make_scan

SIGNATURE = "BEGIN_SCAN_DATA"
KINDS = {"PDD": PDD, "CROSSPLANE_PROFILE": CROSSLINE, "INPLANE_PROFILE": INLINE}
SIGNS = {"TARGET_GUN": 1.0, "GUN_TARGET": -1.0, "LEFT_RIGHT": 1.0, "RIGHT_LEFT": -1.0}
FILTERS = {"FF": "STANDARD", "FFF": "FFF"}
# what lies in the beam, but not how: a direction says nothing where there is no wedge
IN_BEAM = re.compile(r"(?!.*(DIR|ORIENT))(WEDGE|BLOCK|BOLUS|APPLICATOR|COMPENSATOR|CONE|TRAY)", re.IGNORECASE)
NONE = ("NONE", "NO", "OPEN", "UNDEFINED", "UNKNOWN", "FALSE", "NO_WEDGE", "NO_BLOCK", "NO_APPLICATOR", "-")
TANKS = re.compile(r"MP\d|BEAMSCAN", re.IGNORECASE)  # SCAN_DEVICE: what moves a detector in water
ARRAYS = re.compile(r"STARCHECK|OCTAVIUS|2D|SEVEN|(QUICK|BEAM)CHECK|.*ARRAY|729|1[05]00", re.IGNORECASE)
NO_MEDIUM = "the file states neither the medium nor the device of its scans; taken for water"
MM = 0.1  # [cm]
CUT_OFF = "the file was cut off", "export it anew"


def read_mcc(path: Path) -> list[Scan]:
    """All scans of a MEPHYSTO file.

    Raises
    ------
    InputError
        If the file is broken, or a scan is of a kind that would have to be guessed at.
    """
    lines = Lines(path)
    if lines.first_text != SIGNATURE:
        raise lines.error(1, f"a MEPHYSTO file begins with {SIGNATURE}")
    scans: list[Scan] = []
    entries: Entries | None = None
    rows: list[list[float]] | None = None
    number_of_scan, complete, in_data = "", False, False
    for number, line in lines:
        if complete:
            raise lines.error(number, "stands behind END_SCAN_DATA")
        if in_data:
            if line == "END_DATA":
                in_data = False
            else:
                rows.append(_row(lines, number, line, rows))
        elif line == "END_SCAN_DATA":
            if entries is not None:
                raise lines.error(number, f"scan {number_of_scan} has no END_SCAN")
            complete = True
        elif line.startswith("BEGIN_SCAN ") or line == "BEGIN_SCAN":
            if entries is not None:
                raise lines.error(number, f"scan {number_of_scan} has no END_SCAN")
            entries, rows, number_of_scan = (
                Entries(lines, number),
                None,
                line.removeprefix("BEGIN_SCAN").strip(),
            )
        elif line.startswith("END_SCAN"):
            if entries is None or line.removeprefix("END_SCAN").strip() != number_of_scan:
                raise lines.error(number, f"{line} without its BEGIN_SCAN")
            if rows is None:
                raise lines.error(number, f"scan {number_of_scan} has no data")
            scans.append(_scan(entries, np.array(rows).reshape(-1, 2)))
            entries = None
        elif line == "BEGIN_DATA":
            if entries is None or rows is not None:
                raise lines.error(number, "BEGIN_DATA out of place")
            rows, in_data = [], True
        elif "=" in line and entries is not None:
            key, value = line.split("=", 1)
            entries.add(number, key.strip(), value)
        elif "=" not in line and line != SIGNATURE:
            raise lines.error(number, f"{line[:40]!r} is not understood")
    if not complete:
        raise lines.error(lines.last, *CUT_OFF)
    if not scans:
        raise lines.error(lines.last, "holds no scan")
    return scans


def _row(lines: Lines, number: int, line: str, rows: list[list[float]]) -> list[float]:
    """Position and reading of a point."""
    cells = line.split()
    if len(cells) not in (2, 3) or line.startswith("END_"):
        raise lines.error(number, f"{line[:40]!r} is no point (position, reading)", CUT_OFF[1])
    return [lines.number(number, cell, "a value") for cell in cells[:2]]


def _scan(entries: Entries, rows: np.ndarray) -> Scan:
    """The scan that entries and rows (n, 2) make."""
    lines = entries.lines
    curve = entries.text("SCAN_CURVETYPE").upper()
    if curve not in KINDS:
        raise entries.error(
            "SCAN_CURVETYPE",
            "this kind of scan is not supported",
            f"leave it out; understood: {', '.join(KINDS)}; diagonals as CSV or W2CAD, which state x and y",
        )
    kind = KINDS[curve]
    entries.must_be("MODALITY", ("X",), "only photon beams are supported")
    _refuse_no_tank(entries)
    entries.must_be("FIELD_TYPE", ("RECTANGULAR", "QUADRATIC"), "only rectangular fields", "RECTANGULAR")
    entries.must_be("DEPTH_AXIS_DIR", ("UP_DOWN",), "depth must count downwards", "UP_DOWN")
    entries.must_be("SCAN_DIAGONAL", ("NOT_DIAGONAL",), "export diagonals as CSV or W2CAD", "NOT_DIAGONAL")
    entries.must_be_zero(
        "COLL_ANGLE", "COLL_OFFSET_INPLANE", "COLL_OFFSET_CROSSPLANE", "INCLINATION_ANGLE", "SCAN_ANGLE"
    )
    entries.refuse_other_than(IN_BEAM, NONE, "only open beams are supported")
    gantry, upright = (entries.number(key, 0.0) for key in ("GANTRY", "GANTRY_UPRIGHT_POSITION"))
    if abs((gantry - upright + 180.0) % 360.0 - 180.0) > 1e-6:
        problem = f"the beam does not come from above, where GANTRY_UPRIGHT_POSITION is {upright:g}"
        raise entries.error("GANTRY", problem, "scan with the gantry upright")
    inplane = SIGNS[entries.must_be("INPLANE_AXIS_DIR", ("TARGET_GUN", "GUN_TARGET"), "unknown")]
    crossplane = SIGNS[entries.must_be("CROSSPLANE_AXIS_DIR", ("LEFT_RIGHT", "RIGHT_LEFT"), "unknown")]
    own_offset = {CROSSLINE: "SCAN_OFFAXIS_CROSSPLANE", INLINE: "SCAN_OFFAXIS_INPLANE"}.get(kind)
    if own_offset is not None and entries.number(own_offset, 0.0) != 0.0:
        raise entries.error(
            own_offset, "an offset along the scan itself", "is it in the positions already? export as CSV"
        )
    x = np.full(len(rows), crossplane * entries.number("SCAN_OFFAXIS_CROSSPLANE", 0.0))
    y = np.full(len(rows), inplane * entries.number("SCAN_OFFAXIS_INPLANE", 0.0))
    z = np.zeros(len(rows)) if kind == PDD else np.full(len(rows), entries.number("SCAN_DEPTH"))
    position = rows[:, 0]
    if kind == PDD:
        z = position
    elif kind == CROSSLINE:
        x = crossplane * position
    else:
        y = inplane * position
    mode = None
    if "FILTER" in entries:
        mode = FILTERS[entries.must_be("FILTER", tuple(FILTERS), "unknown filter")]
    radius = entries.number("DETECTOR_RADIUS", 0.0)
    sad = MM * entries.number("ISOCENTER") if "ISOCENTER" in entries else None
    notes = [f"{key}={entries.text(key)}" for key in ("CORRECTIONS", "COMMENT") if key in entries]
    if "MEAS_MEDIUM" not in entries and "SCAN_DEVICE" not in entries:
        notes.append(NO_MEDIUM)
    return make_scan(
        points=np.column_stack([MM * x, MM * y, MM * z, rows[:, 1]]),
        kind=kind,
        unit=entries.text("MEAS_UNIT", "a.u."),
        field_cm=centred_field(MM * entries.number("FIELD_CROSSPLANE"), MM * entries.number("FIELD_INPLANE")),
        ssd_cm=MM * entries.number("SSD"),
        nominal_mv=entries.number("ENERGY"),
        fluence_mode=mode,
        detector=entries.text("DETECTOR_NAME", entries.text("DETECTOR", "unknown")),
        detector_radius_cm=MM * radius if radius > 0.0 else None,
        file=lines.path,
        line=entries.line,
        notes=tuple(notes),
        sad_cm=sad,
    )


def _refuse_no_tank(entries: Entries) -> None:
    """Refuse what was not measured in water, or may not have been."""
    device = entries.text("SCAN_DEVICE", "")
    if ARRAYS.match(device):
        raise entries.error(
            "SCAN_DEVICE", "is a detector array and no water tank", "commission with scans of a water tank"
        )
    if "MEAS_MEDIUM" in entries:
        entries.must_be("MEAS_MEDIUM", ("WATER",), "only scans in water are supported")
    elif device and not TANKS.match(device):
        problem = "is no water tank that is known, and the medium is not stated"
        raise entries.error("SCAN_DEVICE", problem, "export it with MEAS_MEDIUM=WATER, or as CSV")
