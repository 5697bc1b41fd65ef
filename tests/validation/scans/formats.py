"""Small files of scans in every format, written by the tests themselves."""

from __future__ import annotations

import numpy as np


def profile(x, half=5.0, width=0.3):
    """A profile of a field from -half to half [cm] with smooth edges, 100 on the axis."""
    edge = np.tanh((half - np.abs(x)) / width)
    return 50.0 * (1.0 + edge)


def depth_dose(z):
    """A depth dose with its maximum at 1.5 cm."""
    z = np.asarray(z, float)
    return 100.0 * (np.exp(-0.05 * z) - 0.6 * np.exp(-z / 0.31))


MCC_ENTRIES = {
    "MODALITY": "X",
    "ISOCENTER": "1000.00",
    "INPLANE_AXIS_DIR": "TARGET_GUN",
    "CROSSPLANE_AXIS_DIR": "LEFT_RIGHT",
    "DEPTH_AXIS_DIR": "UP_DOWN",
    "ENERGY": "6.00",
    "SSD": "900.00",
    "WEDGE_ANGLE": "0.00",
    "FIELD_INPLANE": "80.00",
    "FIELD_CROSSPLANE": "100.00",
    "GANTRY": "0.00",
    "COLL_ANGLE": "0.00",
    "DETECTOR_NAME": "a diode",
    "DETECTOR_RADIUS": "0.60",
    "FILTER": "FF",
    "SCAN_CURVETYPE": "CROSSPLANE_PROFILE",
    "SCAN_DEPTH": "50.00",
    "SCAN_OFFAXIS_INPLANE": "0.00",
    "SCAN_OFFAXIS_CROSSPLANE": "0.00",
    "MEAS_UNIT": "Gy",
}


def mcc(rows, third=False, **changes):
    """A MEPHYSTO file with one scan of rows (position [mm], value)."""
    entries = {**MCC_ENTRIES, **changes}
    lines = ["BEGIN_SCAN_DATA", "\tFORMAT=CC-Export V1.9", "\tBEGIN_SCAN  1"]
    lines += [f"\t\t{key}={value}" for key, value in entries.items() if value is not None]
    lines += ["\t\tBEGIN_DATA"]
    lines += [f"\t\t\t{p:.2f}\t\t{v:.6E}" + ("\t\t1.0E+00" if third else "") for p, v in rows]
    lines += ["\t\tEND_DATA", "\tEND_SCAN  1", "END_SCAN_DATA"]
    return "\n".join(lines) + "\n"


def rfa(rows, scan="PRO", field=(100, 80), count=1, points=None, **changes):
    """An RFA300 file with one measurement of rows (X, Y, Z [mm], dose)."""
    entries = {
        "VNR": "1.0", "MOD": "RAT", "TYP": "SCN", "SCN": scan, "FLD": "ION", "FSZ": f"{field[0]}\t{field[1]}",
        "BMT": "PHO\t    6.0", "SSD": "900", "WEG": "0", "GPO": "0", "CPO": "0",
        "PRD": f"{10 * rows[0][2]:g}" if scan != "DPT" else "0",
        "PTS": str(len(rows) if points is None else points),
        "STS": "\t".join(f"{c:.1f}" for c in rows[0][:3]) + " # Start Scan values in mm ( X , Y , Z )",
        **changes,
    }  # fmt: skip
    lines = [f":MSR \t{count}\t # No. of measurement in file", ":SYS BDS 0 # Beam Data Scanner System", "#"]
    lines += [f"%{key} \t{value}" for key, value in entries.items()]
    lines += ["! a comment", "#", "#\t  X      Y      Z     Dose", "#"]
    lines += ["= \t" + "\t".join(f"{c:.1f}" for c in row) for row in rows]
    return "\n".join([*lines, ":EOM  # End of Measurement", ":EOF # End of File"]) + "\n"


def w2cad(rows, curve="OPP", axis="X", points=None, **changes):
    """A W2CAD file with one scan of rows (x, y, z [mm], dose)."""
    entries = {
        "VERSION": "02", "DATE": "20-09-2011", "DETY": "DIO", "BMTY": "PHO", "FLSZ": "100*080", "TYPE": curve,
        "AXIS": axis, "PNTS": str(len(rows) if points is None else points), "STEP": "010", "SSD": "1000",
        "DPTH": f"{rows[0][2]:g}",
        **changes,
    }  # fmt: skip
    lines = ["$NUMS 001", "$STOM", *(f"%{key} {value}" for key, value in entries.items())]
    lines += ["<" + " ".join(f"{c:+06.1f}" for c in row) + ">" for row in rows]
    return "\n".join([*lines, "$ENOM", "$ENOF"]) + "\n"


CSV_HEADER = "scan,x_cm,y_cm,z_cm,value,field_x_cm,field_y_cm,ssd_cm,nominal_mv,fluence_mode"


def csv(rows, name="a", field=(10, 10), ssd=90, energy=6, mode="STANDARD", header=CSV_HEADER):
    """A CSV file with one scan of rows (x, y, z [cm], value)."""
    facts = f"{field[0]},{field[1]},{ssd},{energy},{mode}"
    lines = [f"{name}," + ",".join(f"{c:.5g}" for c in row) + f",{facts}" for row in rows]
    return "\n".join([header, *lines]) + "\n"


def write(folder, name, text):
    """Write a file of a test and hand back its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
