"""Reading scans: conventions of every format, and refusals that name file, line and remedy."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.errors import InputError
from tests.validation.scans.formats import csv, depth_dose, mcc, profile, rfa, w2cad, write
from validation.scans import CROSSLINE, DIAGONAL, INLINE, PDD, output_factors, read_folder, read_scans
from validation.scans import mcc as mcc_reader
from validation.scans.folder import Stated, read_measured

X = np.linspace(-80, 80, 41)  # [mm]
ROWS = [(x, profile(x / 10) + (5 if x > 0 else 0)) for x in X]  # higher on the + side
Z = np.arange(0, 250, 5.0)
DEPTHS = [(z, depth_dose(z / 10)) for z in Z]


def the_scan(path, **stated):
    """The one scan of a file."""
    (scan,) = read_scans(path, Stated(**stated))
    return scan


def test_mcc_crossline(tmp_path):
    scan = the_scan(write(tmp_path, "a.mcc", mcc(ROWS, SCAN_OFFAXIS_INPLANE="20.00")))
    assert scan.kind == CROSSLINE and scan.ssd_cm == 90.0 and scan.nominal_mv == 6.0
    assert scan.field_cm == (-5.0, 5.0, -4.0, 4.0)  # crossplane is x, inplane y
    assert scan.fluence_mode == "STANDARD" and scan.unit == "Gy" and scan.detector == "a diode"
    np.testing.assert_allclose(scan.x, X / 10)
    np.testing.assert_allclose(scan.y, 2.0)
    np.testing.assert_allclose(scan.z, 5.0)
    np.testing.assert_allclose(scan.values, [v for _, v in ROWS], rtol=1e-6)
    assert scan.detector_radius_cm == pytest.approx(0.06) and scan.line == 3


@pytest.mark.parametrize(
    ("curve", "axis", "direction", "sign"),
    [
        ("CROSSPLANE_PROFILE", "CROSSPLANE_AXIS_DIR", "RIGHT_LEFT", -1),
        ("INPLANE_PROFILE", "INPLANE_AXIS_DIR", "TARGET_GUN", 1),
        ("INPLANE_PROFILE", "INPLANE_AXIS_DIR", "GUN_TARGET", -1),
    ],
)
def test_mcc_directions(tmp_path, curve, axis, direction, sign):
    scan = the_scan(write(tmp_path, "a.mcc", mcc(ROWS, SCAN_CURVETYPE=curve, **{axis: direction})))
    assert np.diff(scan.positions).min() > 0
    higher = scan.values[scan.positions > 1].mean() > scan.values[scan.positions < -1].mean()
    assert higher == (sign > 0)


def test_mcc_depth_dose_with_reference_column(tmp_path):
    text = mcc(DEPTHS, third=True, SCAN_CURVETYPE="PDD", SCAN_DEPTH=None, FILTER=None)
    scan = the_scan(write(tmp_path, "a.mcc", text))
    assert scan.kind == PDD and scan.depth_cm is None and scan.fluence_mode is None
    np.testing.assert_allclose(scan.positions, Z / 10)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"WEDGE_ANGLE": "15.00"}, "WEDGE_ANGLE = 15.00"),
        ({"COLL_ANGLE": "90.00"}, "COLL_ANGLE = 90.00"),
        ({"COLL_OFFSET_INPLANE": "10.00"}, "COLL_OFFSET_INPLANE"),
        ({"MODALITY": "EL"}, "only photon beams"),
        ({"MEAS_MEDIUM": "AIR"}, "only scans in water"),
        ({"MEAS_MEDIUM": "RW3"}, "only scans in water"),
        ({"SCAN_DEVICE": "STARCHECK"}, "is a detector array"),
        ({"SCAN_DEVICE": "OCTAVIUS_1500", "MEAS_MEDIUM": "WATER"}, "is a detector array"),
        ({"SCAN_DEVICE": "SOMETHING"}, "the medium is not stated.*MEAS_MEDIUM=WATER"),
        ({"WEDGE": "EDW30IN"}, "WEDGE = EDW30IN: only open beams"),
        ({"WEDGE_TYPE": "HARD"}, "only open beams"),
        ({"APPLICATOR": "10x10"}, "only open beams"),
        ({"GANTRY": "180.00"}, "does not come from above"),
        ({"GANTRY_UPRIGHT_POSITION": "180"}, "GANTRY_UPRIGHT_POSITION is 180"),
        ({"ISOCENTER": "0.00"}, "isocentre 0 is impossible"),
        ({"SCAN_CURVETYPE": "DIAGONAL_PROFILE"}, "not supported"),
        ({"SCAN_DIAGONAL": "FIRST"}, "diagonals as CSV"),
        ({"SCAN_OFFAXIS_CROSSPLANE": "5.00"}, "along the scan itself"),
        ({"INPLANE_AXIS_DIR": None}, "no INPLANE_AXIS_DIR"),
        ({"DEPTH_AXIS_DIR": "DOWN_UP"}, "UP_DOWN"),
        ({"FILTER": "WEDGE"}, "unknown filter"),
        ({"SSD": "9oo"}, "no number"),
        ({"SCAN_DEPTH": "-50.00"}, "negative"),
    ],
)
def test_mcc_refusals(tmp_path, changes, words):
    path = write(tmp_path, "a.mcc", mcc(ROWS, **changes))
    with pytest.raises(InputError, match=words) as caught:
        read_scans(path)
    assert "a.mcc, line " in caught.value.source


@pytest.mark.parametrize(
    "changes",
    [
        {"SCAN_DEVICE": "MP3"},
        {"SCAN_DEVICE": "BEAMSCAN", "MEAS_MEDIUM": "WATER"},
        {"GANTRY": "180.00", "GANTRY_UPRIGHT_POSITION": "180"},
        {"GANTRY": "360.00"},
        {"WEDGE": "NONE", "WEDGE_DIRECTION": "IN", "BLOCK": "0", "APPLICATOR": "UNDEFINED"},
    ],
)
def test_mcc_of_open_beams_from_above(tmp_path, changes):
    scan = the_scan(write(tmp_path, "a.mcc", mcc(ROWS, **changes)))
    assert scan.sad_cm == 100.0 and (mcc_reader.NO_MEDIUM in scan.notes) == ("SCAN_DEVICE" not in changes)


def test_what_was_measured_twice_is_named(tmp_path):
    write(tmp_path, "a.mcc", mcc(ROWS))
    assert not read_folder(tmp_path).warnings
    write(tmp_path, "b.mcc", mcc([(x, 1.02 * v) for x, v in ROWS]))
    (warning,) = read_folder(tmp_path).warnings
    assert "measured 2 times" in warning and "a.mcc, line 3, b.mcc, line 3" in warning


def test_output_factors_alone(tmp_path):
    """They are read and shown; what they lack for a commissioning is said there."""
    text = ",".join((*output_factors.NUMBERS, "fluence_mode")) + "\n10,10,90,10,6,1,FFF\n"
    path = write(tmp_path, "of.csv", text)
    for source in (tmp_path, path):
        measured = read_measured(source)
        assert not measured.scans and measured.output_factors[0].value == 1.0
    path.unlink()
    write(tmp_path, "scan.snctxt", "x")
    with pytest.raises(InputError, match=r"holds no scan.*not read: scan\.snctxt: export them as CSV"):
        read_folder(tmp_path)


def test_mcc_cut_off_anywhere(tmp_path):
    """However a file is cut, it is refused, never read in part."""
    lines = mcc(ROWS).splitlines()
    for kept in range(1, len(lines) - 1, 3):
        with pytest.raises(InputError):
            read_scans(write(tmp_path, "a.mcc", "\n".join(lines[:kept])))


def test_mcc_same_position_twice(tmp_path):
    with pytest.raises(InputError, match="two values at"):
        read_scans(write(tmp_path, "a.mcc", mcc([*ROWS, ROWS[3]])))


RFA_X = [(0.0, x, 50.0, v) for x, v in ROWS]  # along Y


def test_rfa_axes(tmp_path):
    """OmniPro: X inline, away from the gantry, Y crossline; IEC: X crossline."""
    path = write(tmp_path, "a.asc", rfa(RFA_X, field=(80, 100)))
    scan = the_scan(path, rfa_x="inline")
    assert scan.kind == CROSSLINE and scan.field_cm == (-5.0, 5.0, -4.0, 4.0)
    np.testing.assert_allclose(scan.x, X / 10)
    scan = the_scan(path, rfa_x="crossline")
    assert scan.kind == INLINE and scan.field_cm == (-4.0, 4.0, -5.0, 5.0)
    swapped = [(x, 0.0, 50.0, v) for x, v in ROWS]
    scan = the_scan(write(tmp_path, "b.asc", rfa(swapped)), rfa_x="inline")
    assert scan.kind == INLINE and scan.values[0] > scan.values[-1]  # + X is - y
    assert scan.nominal_mv == 6.0 and scan.fluence_mode is None and scan.detector == "ionisation chamber"


def test_rfa_axes_must_be_stated_where_they_matter(tmp_path):
    with pytest.raises(InputError, match="rfa_x"):
        read_scans(write(tmp_path, "a.asc", rfa(RFA_X, field=(100, 100))))
    on_axis = [(0.0, 0.0, z, v) for z, v in DEPTHS]
    assert the_scan(write(tmp_path, "b.asc", rfa(on_axis, "DPT", field=(100, 100)))).kind == PDD
    with pytest.raises(InputError, match="rfa_x"):
        read_scans(write(tmp_path, "c.asc", rfa(on_axis, "DPT", field=(100, 80))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": 40}, "there are 41 points"),
        ({"count": 2}, "announces 2"),
        ({"PRD": "50"}, "check the units"),
        ({"WEG": "30"}, "only 0"),
        ({"MEA": "6"}, "wedge"),
        ({"BMT": "ELE\t6.0"}, "only photon"),
        ({"scan": "DPT"}, "crossline scan"),
        ({"STS": "0.0\t-90.0\t50.0"}, "the points say"),
        ({"FSZ": "100"}, "two widths"),
    ],
)
def test_rfa_refusals(tmp_path, changes, words):
    path = write(tmp_path, "a.asc", rfa(RFA_X, **changes))
    with pytest.raises(InputError, match=words) as caught:
        read_scans(path, Stated(rfa_x="inline"))
    assert "a.asc, line " in caught.value.source


def test_rfa_cut_off_anywhere(tmp_path):
    lines = rfa(RFA_X).splitlines()
    for kept in range(1, len(lines) - 1, 5):
        with pytest.raises(InputError):
            read_scans(write(tmp_path, "a.asc", "\n".join(lines[:kept])), Stated(rfa_x="inline"))


def test_w2cad(tmp_path):
    across = write(tmp_path, "a.asc", w2cad([(x, 0.0, 50.0, v) for x, v in ROWS]))
    scan = the_scan(across, nominal_mv=6.0, fluence_mode="FFF")
    assert scan.kind == CROSSLINE and scan.field_cm == (-5.0, 5.0, -4.0, 4.0) and scan.ssd_cm == 100.0
    assert scan.nominal_mv == 6.0 and scan.fluence_mode == "FFF" and scan.detector == "diode"
    assert the_scan(across).nominal_mv is None
    deep = write(tmp_path, "b.asc", w2cad([(0.0, 0.0, z, v) for z, v in DEPTHS], "OPD", "Z"))
    assert the_scan(deep).kind == PDD
    rows = [(x, x, 100.0, v) for x, v in ROWS]
    scan = the_scan(write(tmp_path, "c.asc", w2cad(rows, "DPR", "D")))
    assert scan.kind == DIAGONAL
    np.testing.assert_allclose(scan.positions, np.sqrt(2) * X / 10, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": 3}, "there are 41 points"),
        ({"curve": "WDP"}, "only open"),
        ({"axis": "Z"}, "does not go with"),
        ({"axis": "Y"}, "stated is inline"),
        ({"DPTH": "100"}, "the points lie at 50"),
        ({"BMTY": "ELE"}, "only photon"),
    ],
)
def test_w2cad_refusals(tmp_path, changes, words):
    path = write(tmp_path, "a.asc", w2cad([(x, 0.0, 50.0, v) for x, v in ROWS], **changes))
    with pytest.raises(InputError, match=words) as caught:
        read_scans(path)
    assert "a.asc, line " in caught.value.source


def test_scans_without_points(tmp_path):
    """An empty scan that its counts confirm is still no scan."""
    empty = rfa(RFA_X).replace("%PTS \t41", "%PTS \t0")
    texts = {
        "a.asc": "\n".join(line for line in empty.splitlines() if not line.startswith("=")),
        "b.asc": w2cad([(0.0, 0.0, 50.0, 1.0)], points=0).replace("<+000.0 +000.0 +050.0 +001.0>\n", ""),
        "c.mcc": mcc([]),
        "d.csv": csv([]),
    }
    for name, text in texts.items():
        with pytest.raises(InputError):
            read_scans(write(tmp_path, name, text), Stated(rfa_x="inline"))


def test_csv(tmp_path):
    rows = [(x / 10, 0.0, 5.0, v) for x, v in ROWS]
    scan = the_scan(write(tmp_path, "a.csv", csv(rows, field=(10, 8))))
    assert scan.kind == CROSSLINE and scan.field_cm == (-5.0, 5.0, -4.0, 4.0)
    assert scan.fluence_mode == "STANDARD" and scan.line == 2
    for text, words in [
        (csv(rows).replace("x_cm", "x_mm"), "no column x_cm"),
        (csv(rows) + "a,0,0,5,1,10,10,100,6,STANDARD\n", "ssd_cm of scan 'a' differs"),
        (csv(rows) + "a,0\n", "2 cells"),
        (csv(rows, mode="FF"), "fluence_mode 'FF'"),
        (csv([(10 * x, y, z, v) for x, y, z, v in rows]).replace("5,", "5,", 1), None),
        (csv([(x, 0.3 * x, z + x, v) for x, _, z, v in rows]), "on no line"),
        (csv(rows[:3]), "3 points"),
    ]:
        path = write(tmp_path, "b.csv", text)
        if words is None:
            assert the_scan(path).x.max() == 80.0  # what is within a tank cannot be known to be wrong
            continue
        with pytest.raises(InputError, match=words):
            read_scans(path)
    with pytest.raises(InputError, match="check the units"):
        read_scans(write(tmp_path, "c.csv", csv([(100 * x, y, z, v) for x, y, z, v in rows])))


def test_folder_with_statement(tmp_path):
    write(tmp_path, "deep.asc", w2cad([(0.0, 0.0, z, v) for z, v in DEPTHS], "OPD", "Z"))
    write(tmp_path, "other.asc", rfa(RFA_X))
    write(tmp_path, "notes.pdf", "not for us")
    write(
        tmp_path,
        "scans.toml",
        'fluence_mode = "STANDARD"\nrfa_x = "inline"\n[[files]]\nmatch = "deep*"\nnominal_mv = 10.0\n'
        'fluence_mode = "FFF"\ndepth_shift_cm = -0.18\n',
    )
    measured = read_folder(tmp_path)
    deep, other = measured.scans
    assert (deep.nominal_mv, deep.fluence_mode) == (10.0, "FFF") and other.fluence_mode == "STANDARD"
    np.testing.assert_allclose(deep.z, Z / 10 - 0.18)
    assert "shifted" in deep.notes[0] and "notes.pdf" in measured.warnings[0]


def test_statement_that_contradicts_a_file(tmp_path):
    write(tmp_path, "a.mcc", mcc(ROWS))
    write(tmp_path, "scans.toml", "nominal_mv = 10.0\n")
    with pytest.raises(InputError, match=r"nominal_mv is 6.0, but scans.toml states 10.0"):
        read_folder(tmp_path)
    write(tmp_path, "scans.toml", "nominal_MV = 6.0\n")
    with pytest.raises(InputError, match="nominal_MV: is unknown"):
        read_folder(tmp_path)


def test_folder_refusals(tmp_path):
    with pytest.raises(InputError, match="no scan"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        read_folder(tmp_path / "missing")
    write(tmp_path, "a.txt", "some text\n")
    with pytest.raises(InputError, match="no format"):
        read_folder(tmp_path)


def test_output_factors(tmp_path):
    write(tmp_path, "a.mcc", mcc(ROWS))
    header = "field_x_cm,field_y_cm,ssd_cm,depth_cm,nominal_mv,fluence_mode,output_factor\n"
    write(tmp_path, "of.csv", header + "10,10,90,10,6,STANDARD,1\n5,5,90,10,6,STANDARD,0.9\n")
    factors = read_folder(tmp_path).output_factors
    assert [f.value for f in factors] == [1.0, 0.9] and factors[1].field_cm == (-2.5, 2.5, -2.5, 2.5)
    write(tmp_path, "of.csv", header + "5,5,90,10,6,STANDARD,0.9\n")
    with pytest.raises(InputError, match="which field is the reference"):
        read_folder(tmp_path)


@pytest.mark.shared
def test_agility(shared):
    """The measured scans of an Agility: 4 inline, 4 crossline, a depth dose; as pymedphys reads them."""
    folder = shared / "data" / "beam-data" / "agility-6mv"
    scans = read_folder(folder).scans
    assert [scan.kind for scan in scans] == 4 * [INLINE] + [PDD] + 4 * [CROSSLINE]
    assert all(scan.field_cm == (-5.0, 5.0, -5.0, 5.0) and scan.ssd_cm == 90.0 for scan in scans)
    pytest.importorskip("pymedphys")
    from pymedphys._experimental.fileformats.mephysto.api import load_mephysto

    distance, dose, curve, depth = load_mephysto(folder / "06MV_10x10.mcc", sort=False)
    names = {"INPLANE_PROFILE": INLINE, "CROSSPLANE_PROFILE": CROSSLINE, "PDD": PDD}
    assert [names[c] for c in curve] == [scan.kind for scan in scans]
    for k, scan in enumerate(scans):
        np.testing.assert_allclose(scan.positions, np.asarray(distance[k], float) / 10)
        np.testing.assert_allclose(scan.values, np.asarray(dose[k], float))
        if scan.depth_cm is not None:
            assert scan.depth_cm == pytest.approx(depth[k] / 10)


def windows(path, text, encoding="cp1252"):
    """Write a file as programs of Windows do: CRLF, letters of a code page."""
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    return path


def commas(text, lines):
    """Numbers with decimal commas in the lines that hold data."""
    return "\n".join(line.replace(".", ",") if line.startswith(lines) else line for line in text.split("\n"))


def same(found, expected):
    """Whether scans hold the same points."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.kind, one.field_cm, one.ssd_cm) == (other.kind, other.field_cm, other.ssd_cm)
        for name in ("x", "y", "z", "values"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-9)


def test_files_of_windows(tmp_path):
    """CRLF, a degree sign, an ellipsis of a code page, UTF-16, and the end-of-file sign of DOS."""
    text = mcc(
        ROWS, COMMENT="angle 0\N{DEGREE SIGN}\N{HORIZONTAL ELLIPSIS} \N{LATIN SMALL LETTER U WITH DIAERESIS}"
    )
    expected = read_scans(write(tmp_path, "a.mcc", text))
    assert "\N{DEGREE SIGN}\N{HORIZONTAL ELLIPSIS}" in expected[0].notes[0]
    for name, encoding in (("b.mcc", "cp1252"), ("c.mcc", "utf-16"), ("d.mcc", "utf-8-sig")):
        found = read_scans(windows(tmp_path / name, text + "\x1a" * (encoding == "cp1252"), encoding))
        same(found, expected)
        assert found[0].notes == expected[0].notes


def test_decimal_commas(tmp_path):
    points = [(x / 10, 0.0, 5.0, v) for x, v in ROWS]
    for text, kind, lines in (
        (rfa(RFA_X), "asc", ("=", "%FSZ", "%BMT", "%STS", "%PRD")),
        (w2cad([(x, 0.0, 50.0, v) for x, v in ROWS]), "asc", "<"),
        (mcc(ROWS), "mcc", ("\t\t\t", "\t\tENERGY", "\t\tSSD")),
    ):
        expected = read_scans(write(tmp_path, f"a.{kind}", text), Stated(rfa_x="inline"))
        comma = commas(text, lines)
        assert comma != text
        same(read_scans(write(tmp_path, f"b.{kind}", comma), Stated(rfa_x="inline")), expected)
    table = csv(points).replace(",", ";").replace(".", ",")
    expected = read_scans(write(tmp_path, "a.csv", csv(points)))
    same(read_scans(write(tmp_path, "b.csv", table)), expected)
    same(read_scans(write(tmp_path, "c.csv", table.replace(";", "\t"))), expected)
    with pytest.raises(InputError, match="decimal comma or thousands"):
        read_scans(write(tmp_path, "d.mcc", mcc(ROWS, SSD="1,000")))


def test_spreadsheets_leave_empty_cells(tmp_path):
    points = [(x / 10, 0.0, 5.0, v) for x, v in ROWS]
    text = "# measured by hand\n" + "\n".join(line + ",," for line in csv(points).splitlines()) + "\n,,,\n"
    same(read_scans(write(tmp_path, "b.csv", text)), read_scans(write(tmp_path, "a.csv", csv(points))))
    with pytest.raises(InputError, match="cells for 10 columns"):
        read_scans(write(tmp_path, "c.csv", csv(points) + "a,0,0,5,1,10,10,90,6,STANDARD,7\n"))


def test_rfa_variants(tmp_path):
    """Several measurements, blank fields, comments, small letters, an energy with its mode."""
    first = rfa(RFA_X, count=2, DAT="", TIM="", FLD="", WEG="", BMT="PHO\t 6FFF").split(":EOF")[0]
    second = (
        rfa([(0.0, 0.0, z, v) for z, v in DEPTHS], "DPT", BMT="PHO 6 MV").split("BDS 0")[1].split("\n", 1)[1]
    )
    second = second.replace("%FSZ", "%fsz").replace(":EOM", "# last point\n:EOM end")
    profile_scan, deep = read_scans(
        write(tmp_path, "a.asc", first + second + "\n \n"), Stated(rfa_x="inline")
    )
    assert profile_scan.fluence_mode == "FFF" and profile_scan.nominal_mv == deep.nominal_mv == 6.0
    assert deep.fluence_mode is None and deep.kind == PDD and profile_scan.detector == "unknown"
    blank = rfa(RFA_X).replace(":MSR \t1", ":MSR \t")
    same(
        read_scans(write(tmp_path, "b.asc", blank), Stated(rfa_x="inline")),
        [the_scan(write(tmp_path, "c.asc", rfa(RFA_X)), rfa_x="inline")],
    )
    for wrong in ("ELE 6.0", "PHO", "PHO six"):
        with pytest.raises(InputError, match="only photon beams"):
            read_scans(write(tmp_path, "d.asc", rfa(RFA_X, BMT=wrong)), Stated(rfa_x="inline"))


def test_w2cad_variants(tmp_path):
    """Several scans, comments, blank fields, other marks between the widths of the field."""
    rows = [(x, 0.0, 50.0, v) for x, v in ROWS]
    expected = the_scan(write(tmp_path, "a.asc", w2cad(rows)))
    one = w2cad(rows, FLSZ="100 x 80", DATE="").replace("$NUMS 001\n", "").replace("$ENOF\n", "")
    two = w2cad([(0.0, 0.0, z, v) for z, v in DEPTHS], "OPD", "Z").replace("$NUMS 001\n", "")
    text = "$NUMS 002   # number of scans\n! exported\n\n" + one.replace("<", "< ").replace(">", " >") + two
    found, deep = read_scans(write(tmp_path, "b.asc", text.replace("%TYPE", "%type")))
    same([found], [expected])
    assert deep.kind == PDD
