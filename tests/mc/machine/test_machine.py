"""Machine files: the shipped one, and every kind of mistake in one's own."""

import re

import pytest

from mc.compute.calibration import find_calibration
from mc.machine.folder import find_machine, machine_files, named_machine
from mc.machine.machine import SHIPPED, phase_space_for, read_machine, reference_phase_space
from mc.source.phase_space import open_phase_space
from mc.source.phase_space_summary import summarise
from phantoms.errors import InputError
from tests.machines import focused_jaws, machine_text, phase_space, table

GOOD = machine_text(phase_space("beams/small", (-2.5, 2.5, -1.5, 2.5)), name="MINE")
CALIBRATION = table(
    "[energies.calibration]",
    gy_per_history=1.8e-16,
    sigma=1e-18,
    phase_space_sha256="abc",
    version="0.1.0",
    table_hash="def",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder of machine files with a phase space in it."""
    (tmp_path / "beams").mkdir()
    (tmp_path / "beams" / "small.IAEAheader").touch()
    monkeypatch.setenv("MCVERIFY_MACHINES", str(tmp_path))
    return tmp_path


GENERIC = {"GEN-M120": 60, "GEN-HD120": 60, "GEN-AGILITY": 80}  # leaf pairs


@pytest.mark.parametrize("name", (*GENERIC, "GEN-CONES"))
def test_generic_machines(name):
    """They lack phase spaces, and say so."""
    machine = find_machine(name)
    assert "generic, from published dimensions" in machine.manufacturer
    assert "From memory, to be checked" in machine.notes
    parts = machine.collimators
    if name == "GEN-CONES":
        assert machine.sad_cm == 80 and len(parts.cones.diameters_cm) == 12 and not parts.jaws
    else:
        assert parts.leaves.pairs == GENERIC[name] and parts.leaves.axis == "X"
        assert [jaws.axis for jaws in parts.jaws] == (["Y"] if name == "GEN-AGILITY" else ["Y", "X"])
    for quality in machine.energies:
        with pytest.raises(InputError, match="names no phase space"):
            phase_space_for(quality, (-1.0, 1.0, -1.0, 1.0))


def test_leaf_boundaries_are_those_of_plans():
    """Millennium 120 and Agility as in DICOM plans; HD120 is 22 cm wide."""
    boundaries = {name: find_machine(name).collimators.leaves.boundaries_cm for name in GENERIC}
    assert boundaries["GEN-M120"] == pytest.approx(
        [*range(-20, -10), *(0.5 * i for i in range(-20, 21)), *range(11, 21)]
    )
    assert boundaries["GEN-AGILITY"] == pytest.approx([0.5 * i for i in range(-40, 41)])
    hd = boundaries["GEN-HD120"]
    assert (hd[0], hd[14], hd[30], hd[46], hd[60]) == pytest.approx((-11.0, -4.0, 0.0, 4.0, 11.0))


def test_a_phase_space_above_the_jaws_serves_all_fields_within(folder):
    text = GOOD.replace("below_jaws", "above_jaws").replace("[-2.5, 2.5, -1.5, 2.5]", "[-5, 5, -5, 5]")
    quality = read_machine(write(folder, text + focused_jaws("X", 30.0, 38.0))).quality(6.0, "FFF")
    assert phase_space_for(quality, (-5.0, 2.0, 1.0, 3.0)).plane == "above_jaws"
    with pytest.raises(InputError, match="any within X -5 to 5, Y -5 to 5 cm"):
        phase_space_for(quality, (-5.2, 2.0, 1.0, 3.0))


def write(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_machine_describes_its_phase_spaces():
    machine = find_machine("GEN6FFF")
    quality = machine.quality(6.0, "FFF")
    assert quality.label == "6 MV FFF" and machine.sad_cm == 100 and machine.path.parent == SHIPPED
    for entry in quality.phase_spaces:
        summary = summarise(open_phase_space(entry.file), entry.target_z_cm + machine.sad_cm)
        x1, x2, y1, y2 = summary.field_cm
        # phase-space y is -Y_b
        assert (x1, x2, -y2, -y1) == pytest.approx(entry.field_cm, abs=0.11)
    assert reference_phase_space(quality).field_cm == (-5, 5, -5, 5)
    assert quality.reference.dose_per_mu_gy == 0.01 and quality.calibration is None
    assert quality.reference.dose_per_mu_gy / quality.reference.electrons_per_mu == pytest.approx(
        1.843e-16, rel=1e-4
    )


def test_reads_everything(folder):
    machine = read_machine(write(folder, GOOD + CALIBRATION))
    (quality,) = machine.energies
    assert (quality.nominal_mv, quality.fluence_mode) == (6.0, "FFF")
    assert quality.phase_spaces[0].file == (folder / "beams" / "small").resolve()
    assert quality.phase_spaces[0].target_z_cm == 0
    assert quality.reference.averaging_cm == 1.5 and quality.reference.medium == "water"
    assert quality.calibration.gy_per_history == 1.8e-16 and quality.calibration.table_hash == "def"
    assert len(machine.sha256) == 64


def test_electrons_per_mu_are_a_calibration(folder):
    """They say what a history is worth, exactly, without a reference field or its phase space."""
    text = GOOD.replace("dose_per_mu_gy = 0.01\n", "dose_per_mu_gy = 0.01\nelectrons_per_mu = 5e13\n")
    machine = read_machine(write(folder, text))
    found, warnings = find_calibration(machine, machine.energies[0])
    assert found.calibration.gy_per_history == pytest.approx(2e-16) and warnings == []
    assert (found.relative_sigma, found.relative_latent) == (0.0, 0.0) and found.report is None


def test_finds_by_name_the_users_own_first(folder):
    assert find_machine("GEN6FFF").path.parent == SHIPPED
    own = write(folder, GOOD.replace("MINE", "GEN6FFF"))
    assert find_machine(" GEN6FFF ").path == own.resolve()
    with pytest.raises(InputError, match=r"'TrueBeam'.*known: .*GEN6FFF"):
        find_machine("TrueBeam")


def test_a_name_or_a_file(folder, monkeypatch):
    path = write(folder, GOOD, "other.toml")
    assert named_machine(path).name == named_machine("MINE").name == "MINE"
    assert named_machine("GEN6FFF").path.parent == SHIPPED
    monkeypatch.chdir(folder)
    assert named_machine("other.toml").name == "MINE"
    with pytest.raises(InputError, match=r"no such machine file \(did you mean 'other.toml'\?\)"):
        named_machine("othr.toml")
    with pytest.raises(InputError, match=r"no machine file of this name \(did you mean 'GEN-M120'\? known"):
        named_machine("gen-m12O")
    with pytest.raises(InputError, match=r"machine new QQ --from"):
        named_machine("QQ")


def test_two_files_of_one_name_are_refused(folder):
    write(folder, GOOD, "a.toml")
    write(folder, GOOD, "b.toml")
    with pytest.raises(InputError, match=r"a\.toml and b\.toml both describe machine MINE"):
        find_machine("MINE")


@pytest.mark.parametrize("broken", ("name = ", "nome = 'MINE'", "sad_cm ="))
def test_a_broken_file_that_may_be_the_one_is_not_passed_over(folder, broken):
    """One without a name that can be read stops what would else be a shipped machine, or none at all."""
    write(folder, broken, "broken.toml")
    for name in ("GEN6FFF", "TrueBeam"):
        with pytest.raises(InputError, match=r"broken\.toml.*(is not valid TOML|is missing)"):
            find_machine(name)
    write(folder, GOOD)
    assert find_machine("MINE").name == "MINE"


def test_a_broken_file_stops_only_what_needs_it(folder):
    write(folder, GOOD.replace("MINE", "TB1").replace("sad_cm =", "sad_cm"), "broken.toml")
    write(folder, GOOD)
    assert find_machine("MINE").name == "MINE" and find_machine("GEN6FFF").path.parent == SHIPPED
    with pytest.raises(InputError, match=r"broken\.toml.*is not valid TOML"):
        find_machine("TB1")
    with pytest.raises(InputError, match=r"did you mean 'TB1'"):
        find_machine("TB2")
    listed = {
        file.path.name: (file.name, file.problem is None) for file in machine_files() if not file.shipped
    }
    assert listed == {"broken.toml": ("TB1", False), "mine.toml": ("MINE", True)}


def test_folder_that_is_not_there(folder, monkeypatch):
    monkeypatch.setenv("MCVERIFY_MACHINES", str(folder / "nowhere"))
    with pytest.raises(InputError, match="no such folder"):
        find_machine("GEN6FFF")


@pytest.mark.parametrize(
    ("jaws", "found"),
    [
        ((-2.5, 2.5, -1.5, 2.5), True),
        ((-2.549, 2.451, -1.5, 2.5), True),
        ((-2.56, 2.5, -1.5, 2.5), False),
        ((-2.5, 2.5, -2.5, 1.5), False),
    ],
)
def test_phase_space_for_field(folder, jaws, found):
    quality = read_machine(write(folder, GOOD)).energies[0]
    if found:
        assert phase_space_for(quality, jaws) is quality.phase_spaces[0]
    else:
        with pytest.raises(InputError, match=r"it has X -2\.5 to 2\.5, Y -1\.5 to 2\.5 cm"):
            phase_space_for(quality, jaws)


@pytest.mark.parametrize(("energy", "mode"), [(10.0, "FFF"), (6.0, "STANDARD")])
def test_unknown_quality(folder, energy, mode):
    with pytest.raises(InputError, match="it has 6 MV FFF"):
        read_machine(write(folder, GOOD)).quality(energy, mode)


BACKSCATTER = """[[energies.monitor_backscatter]]
axis = "Y"
opening_cm = [{}]
signal = [{}]
\\1"""
MISTAKES = {
    "missing name": (r'name = "MINE"', "", r"name: is missing"),
    "empty name": ("MINE", " ", "name: is empty"),
    "name a number": ('"MINE"', "6", "name: must be text"),
    "misspelt key": ("sad_cm", "sad_mm", r"sad_mm: is unknown \(did you mean 'sad_cm'"),
    "unknown key": ("sad_cm = 100.0", "sad_cm = 100.0\nmanufacterer = 'x'", "did you mean 'manufacturer'"),
    "unknown key, none near": ("sad_cm = 100.0", "sad_cm = 100.0\nqqq = 1", "qqq: is unknown"),
    "negative": ("sad_cm = 100.0", "sad_cm = -1", "sad_cm: must be greater than 0"),
    "zero": ("dose_per_mu_gy = 0.01", "dose_per_mu_gy = 0", r"energies\[0\]\.reference\.dose_per_mu_gy"),
    "nan": ("sad_cm = 100.0", "sad_cm = nan", "must be a finite number"),
    "true": ("sad_cm = 100.0", "sad_cm = true", "must be a finite number, found True"),
    "text for number": ("sad_cm = 100.0", 'sad_cm = "100"', "must be a finite number, found '100'"),
    "fluence mode": ('"FFF"', '"FF"', r"fluence_mode: 'FF' is unknown.*did you mean 'FFF'"),
    "no energies": (r"(?s)\[\[energies.*", "", "energies: is missing"),
    "energies a table": (r"\[\[energies\]\]", "[energies]", "energies: must be one or more tables"),
    "no phase space file": ("beams/small", "beams/large", r"phase_spaces\[0\]\.file: no phase space"),
    "above the jaws": ("below_jaws", "above_jaws", "collimators: is missing, but"),
    "turned below the jaws": (
        '"below_jaws"',
        '"below_jaws"\nrotate = true',
        "the jaws above .* are not round",
    ),
    "turned and mirrored": ('"below_jaws"', '"above_jaws"\nrotate = true\nmirror = "x"', "no mirror images"),
    "flag of text": ('"below_jaws"', '"above_jaws"\nrotate = "yes"', "must be true or false, found 'yes'"),
    "backscatter uneven": (r"(\[energies.reference)", BACKSCATTER.format("1, 5", "1"), "one number for each"),
    "backscatter falling": (r"(\[energies.reference)", BACKSCATTER.format("5, 1", "1, 1"), "does not ascend"),
    "plane": ("below_jaws", "below_jaw", "did you mean 'below_jaws'"),
    "field of three": (r"\[-2.5, 2.5, -1.5, 2.5\]", "[1, 2, 3]", "must be a list of 4 numbers"),
    "field reversed": (r"\[-2.5, 2.5,", "[2.5, -2.5,", "is not x1 < x2"),
    "field of words": (r"\[10.0, 10.0\]", '["a", "b"]', "must be a finite number"),
    "no reference": (r"(?s)\[energies.reference.*", "", r"energies\[0\]\.reference: is missing"),
    "medium": ("ssd_cm", 'medium = "lead"\nssd_cm', "'lead' is unknown"),
    "not toml": ("sad_cm =", "sad_cm", "is not valid TOML"),
    "energy twice": (r"(?s)(\[\[energies\]\].*)", r"\1\1", "6 MV FFF stands there twice"),
    "two calibrations": (
        r"dose_per_mu_gy = 0.01\n",
        "dose_per_mu_gy = 0.01\nelectrons_per_mu = 1e13\n" + CALIBRATION,
        "calibration: is stated beside electrons_per_mu",
    ),
    "no electrons": (
        "dose_per_mu_gy = 0.01",
        "dose_per_mu_gy = 0.01\nelectrons_per_mu = 0",
        "must be greater than 0",
    ),
    "calibration half": (
        r"\Z",
        "[energies.calibration]\nsigma = 1.0",
        r"calibration\.gy_per_history, phase_space_sha256, version, table_hash: are missing",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(folder, mistake):
    pattern, replacement, message = MISTAKES[mistake]
    changed = re.sub(pattern, replacement, GOOD, count=1)
    assert changed != GOOD
    path = write(folder, changed)
    with pytest.raises(InputError, match=message) as error:
        read_machine(path)
    assert str(error.value).startswith(str(path))


def test_not_text_at_all(folder):
    (folder / "mine.toml").write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(InputError, match="is not valid TOML"):
        read_machine(folder / "mine.toml")
    with pytest.raises(InputError, match="the machine file cannot be read"):
        read_machine(folder)


IMPLAUSIBLE = {
    "SAD in mm": (
        "sad_cm = 100.0",
        "sad_cm = 1000",
        r"sad_cm: 1000 cm is implausible \(in mm\? then write 100;",
    ),
    "SAD in m": ("sad_cm = 100.0", "sad_cm = 1", r"sad_cm: 1 cm .*in m\? then write 100"),
    "SAD of nothing": ("sad_cm = 100.0", "sad_cm = 7e5", r"implausible \(it lies between 50 and 200 cm"),
    "SSD": ("ssd_cm = 90.0", "ssd_cm = 900", r"\[0\]\.reference\.ssd_cm: 900 cm .*in mm\? then write 90"),
    "depth": ("depth_cm = 10.0", "depth_cm = 100", r"reference\.depth_cm: 100 cm .*in mm\? then write 10"),
    "field": (r"field_cm = \[10.0, 10.0\]", "field_cm = [100, 100]", r"field_cm: 100 cm .*in mm\?.* 10"),
    "1 cGy": (
        "dose_per_mu_gy = 0.01",
        "dose_per_mu_gy = 1",
        r"1 Gy is implausible \(in cGy\? then write 0\.01",
    ),
    "0.812": ("dose_per_mu_gy = 0.01", "dose_per_mu_gy = 0.812", r"in cGy\? then write 0\.00812"),
    "10 mGy": ("dose_per_mu_gy = 0.01", "dose_per_mu_gy = 10", r"in mGy\? then write 0\.01"),
    "kV": ("nominal_mv = 6.0", "nominal_mv = 6000", r"nominal_mv: 6000 MV .*in kV\? then write 6"),
    "averaging": ("dose_per_mu_gy", "averaging_cm = 15\ndose_per_mu_gy", r"averaging_cm: 15 cm .* 1\.5"),
    "phase space": (r"\[-2.5, 2.5, -1.5, 2.5\]", "[-25, 60, -15, 25]", r"phase_spaces\[0\]\.field_cm: 60 cm"),
}
IMPLAUSIBLE_PARTS = {
    "spot": ("spot_radius_cm = 0.06", "spot_radius_cm = 0.6", r"spot_radius_cm: 0\.6 cm .*in mm\?.* 0\.06"),
    "keV": ("electron_mev = 6.2", "electron_mev = 6200", r"electron_mev: 6200 MeV .*in keV\?.* 6\.2"),
    "jaws": (
        r"top_cm = 27.94\nbottom_cm = 35.71",
        "top_cm = 279.4\nbottom_cm = 357.1",
        r"jaws\[0\]\.top_cm: 279\.4",
    ),
    "leaves": (r"\[40, 0.5\]", "[40, 5]", r"leaf_widths_cm, the sum: 220 cm is implausible"),
    "radius": ("radius_cm = 8.0", "radius_cm = 80", r"mlc\.radius_cm: 80 cm .*in mm\?.* 8"),
    "offset": ("radius_cm = 8.0", "radius_cm = 8.0\noffset_cm = 0.7", r"mlc\.offset_cm: 0\.7 cm .*0\.07"),
    "density": ("density = 15.4", "density = 15400", r"mlc\.density: 15400 g/cm3 .*in kg/m3\?.* 15\.4"),
    "gap": ("gap_cm = 0.006", "gap_cm = 0.6", "gap_cm must be 0 to 0.1 .*lengths are cm"),
    "head": ("plane_z_cm = 27.0", "plane_z_cm = 270", "isocentre at 100 .lengths are cm"),
    "couch": (
        r"\Z",
        '\n[couch]\nwidth_cm = 530\n[[couch.slabs]]\nthickness_cm = 5\nmaterial = "water"\n',
        "couch.width_cm",
    ),
}


@pytest.mark.parametrize("mistake", (*IMPLAUSIBLE, *IMPLAUSIBLE_PARTS))
def test_implausible_entries_are_refused_with_the_unit_that_was_meant(folder, mistake):
    if mistake in IMPLAUSIBLE:
        text, (pattern, replacement, message) = GOOD, IMPLAUSIBLE[mistake]
    else:
        text = (SHIPPED / "gen_m120.toml").read_text(encoding="utf-8")
        pattern, replacement, message = IMPLAUSIBLE_PARTS[mistake]
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    path = write(folder, changed)
    with pytest.raises(InputError, match=message) as error:
        read_machine(path)
    assert str(error.value).startswith(str(path))
