"""IAEA phase spaces: what is written comes back, and what cannot be is refused by name."""

import hashlib
import os
import re
import time

import numpy as np
import pytest

from mc.source import phase_space
from mc.source.iaea_header import format_header, read_header
from mc.source.phase_space import Particles, open_phase_space
from mc.source.phase_space_summary import summarise
from mc.source.phase_space_writer import write_phase_space
from phantoms.errors import InputError

N = 1000


def some_particles(n=N, seed=7):
    """Random particles in float32, so that the file holds them exactly; three records a history."""
    rng = np.random.default_rng(seed)
    cosine = rng.uniform(0.3, 1.0, n)
    azimuth = rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    u, v = (np.float32(sine * f(azimuth)).astype(float) for f in (np.cos, np.sin))
    w = np.sqrt(1 - u * u - v * v) * rng.choice([1, -1], n)
    x, y, z, energy, weight = (
        np.float32(a).astype(float)
        for a in (*rng.uniform(-10, 10, (3, n)), rng.uniform(0.01, 6, n), rng.uniform(0.1, 2, n))
    )
    kind = rng.choice(np.array([1, 1, 1, 2, 3], dtype=np.int8), n)
    return Particles(kind, energy, x, y, z, u, v, w, weight, np.arange(n) % 3 == 0)


def assert_same(a, b):
    for name in Particles._fields:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("byte_order", [1234, 4321])
def test_round_trip(tmp_path, byte_order):
    particles = some_particles()
    extra_floats = [(3, np.arange(N, dtype=np.float32))]
    extra_longs = [(2, np.arange(N)), (1, np.where(particles.new_history, 2, 0))]
    ps = write_phase_space(
        tmp_path / "a",
        particles,
        orig_histories=5000,
        byte_order=byte_order,
        extra_floats=extra_floats,
        extra_longs=extra_longs,
        info={"TITLE": "a test", "ADDITIONAL_NOTES": "two\nlines"},
    )
    assert_same(ps.read(0, N), particles)
    assert_same(ps.read(100, 103), Particles(*(column[100:103] for column in particles)))
    assert ps.header.record_length == 1 + 4 * (1 + 6 + 3)
    assert ps.header.orig_histories == 5000
    assert ps.header.info["ADDITIONAL_NOTES"] == "two\nlines" and ps.header.title == "a test"
    assert ps.header.counts == tuple(np.count_nonzero(particles.kind == code) for code in (1, 2, 3))
    np.testing.assert_array_equal(ps.records(0, N)["float0"], extra_floats[0][1])
    assert ps.warnings == ()


def test_first_bytes_of_a_record_are_those_of_the_report(tmp_path):
    particles = some_particles(1)
    ps = write_phase_space(tmp_path / "a", particles._replace(w=-np.abs(particles.w)), 1, byte_order=4321)
    raw = ps.data_path.read_bytes()
    assert int.from_bytes(raw[:1], signed=True) == -particles.kind[0]
    assert np.frombuffer(raw[1:5], ">f4")[0] == -particles.energy[0]
    assert np.frombuffer(raw[5:9], ">f4")[0] == particles.x[0]


def test_history_starts(tmp_path):
    ps = write_phase_space(tmp_path / "a", some_particles(10), 4)
    assert ps.recorded == 4
    np.testing.assert_array_equal(ps.starts(0, 4), [0, 3, 6, 9, 10])
    np.testing.assert_array_equal(ps.starts(1, 2), [3, 6])
    with pytest.raises(IndexError):
        ps.starts(3, 5)


def test_history_starts_anywhere_in_a_file(tmp_path, monkeypatch):
    """Only every so many are kept; the rest is found again, wherever the chunks of the check ended."""
    monkeypatch.setattr(phase_space, "MARKED", 8)
    monkeypatch.setattr(phase_space, "CHUNK", 53)
    rng = np.random.default_rng(4)
    new = rng.uniform(size=N) < 0.4
    new[0] = True
    ps = write_phase_space(tmp_path / "a", some_particles()._replace(new_history=new), 1000)
    expected = np.append(np.flatnonzero(new), N)
    assert ps.recorded == len(expected) - 1 > 100
    for first in range(0, ps.recorded, 7):
        for last in range(first, ps.recorded + 1, 5):
            np.testing.assert_array_equal(ps.starts(first, last), expected[first : last + 1])
    np.testing.assert_array_equal(ps.starts(0, ps.recorded), expected)


def test_a_file_changed_after_its_check_is_refused(tmp_path):
    ps = write_phase_space(tmp_path / "a", some_particles(), 1000)
    ps.data_path.write_bytes(ps.data_path.read_bytes())
    os.utime(ps.data_path, ns=(1, 1))
    with pytest.raises(InputError, match="was changed while it was in use"):
        ps.read(0, 10)


@pytest.mark.parametrize("constants", [("z",), ("x", "y", "weight"), ("u", "v", "w"), ("x", "y", "z", "w")])
def test_constants(tmp_path, constants):
    particles = some_particles()
    direction = {"u": 0.6, "v": 0.0, "w": -0.8}
    values = {"x": 1.5, "y": -2.0, "z": 50.0, "weight": 0.25}
    if "w" in constants:
        values |= direction
    particles = particles._replace(**{name: np.full(N, value) for name, value in values.items()})
    ps = write_phase_space(tmp_path / "a", particles, 1000, constants=constants)
    assert set(ps.header.constants) == set(constants)
    np.testing.assert_allclose(ps.read(0, N), particles, rtol=0, atol=1e-7)


def test_w_neither_stored_nor_constant_follows_from_the_type(tmp_path):
    particles = some_particles()
    ps = write_phase_space(tmp_path / "a", particles, 1000)
    edit(ps.header_path, r"1     // W is stored", "0     // W is stored")
    assert_same(open_phase_space(tmp_path / "a").read(0, N), particles)


def test_direction_slightly_too_long_is_made_a_unit_vector(tmp_path):
    one = np.ones(1)
    particles = some_particles(1)._replace(u=0.8 * one, v=0.60001 * one, w=0 * one)
    read = write_phase_space(tmp_path / "a", particles, 1).read(0, 1)
    assert read.w[0] == 0
    assert read.u[0] ** 2 + read.v[0] ** 2 == pytest.approx(1, abs=1e-15)
    assert read.u[0] / read.v[0] == pytest.approx(0.8 / 0.60001, rel=1e-6)


def test_names_and_extensions(tmp_path):
    ps = write_phase_space(tmp_path / "a.b", some_particles(), 1000)
    header, data = tmp_path / "a.b.iaeaHEADER", tmp_path / "a.b.IAEAPHSP"
    ps.header_path.rename(header)
    ps.data_path.rename(data)
    for name in ("a.b", "a.b.IAEAheader", "a.b.iaeaphsp"):
        opened = open_phase_space(tmp_path / name)
        assert (opened.header_path, opened.data_path) == (header, data)
    assert opened.sha256 == hashlib.sha256(header.read_bytes() + data.read_bytes()).hexdigest()


def test_chunks_cover_the_file(tmp_path):
    particles = some_particles()
    ps = write_phase_space(tmp_path / "a", particles, 1000)
    chunks = list(ps.chunks(300))
    assert [len(chunk.kind) for chunk in chunks] == [300, 300, 300, 100]
    assert_same(Particles(*(np.concatenate(columns) for columns in zip(*chunks, strict=True))), particles)
    with pytest.raises(IndexError):
        ps.read(900, 1001)


def test_file_cut_from_a_longer_one_warns(tmp_path):
    particles = some_particles()
    late = particles._replace(new_history=np.arange(N) % 3 == 2)
    ps = write_phase_space(tmp_path / "a", late, 1000)
    assert "first 2 records" in ps.warnings[0]
    np.testing.assert_array_equal(ps.starts(0, 3), [0, 2, 5, 8])
    assert ps.read(0, 3).new_history.tolist() == [True, False, True]
    assert ps.read(1, 3).new_history.tolist() == [False, True]


def test_header_formats_and_reads_back(tmp_path):
    header = write_phase_space(tmp_path / "a", some_particles(), 1000, info={"TITLE": "t"}).header
    (tmp_path / "b.IAEAheader").write_text(format_header(header))
    assert read_header(tmp_path / "b.IAEAheader") == header


# Broken files. Each case edits the header (pattern, replacement) of a good file.
HEADER_FAULTS = {
    "no checksum": (r"\$CHECKSUM:\n\d+", "", r"\$CHECKSUM is missing"),
    "wrong checksum": (r"(\$CHECKSUM:\n)\d+", r"\g<1>77", r"\$CHECKSUM is 77"),
    "record length": (r"(\$RECORD_LENGTH:\n)\d+", r"\g<1>33", r"\$RECORD_LENGTH is 33 bytes"),
    "no record length": (r"\$RECORD_LENGTH:\n\d+", "", r"\$RECORD_LENGTH is missing"),
    "byte order unknown": (r"(\$BYTE_ORDER:\n)\d+", r"\g<1>3412", r"\$BYTE_ORDER 3412"),
    "byte order wrong": (
        r"(\$BYTE_ORDER:\n)\d+",
        r"\g<1>4321",
        r"record \d+: .*\$BYTE_ORDER 4321 may be wrong",
    ),
    "no byte order": (r"\$BYTE_ORDER:\n\d+", "", r"\$BYTE_ORDER is missing"),
    "particles": (r"(\$PARTICLES:\n)\d+", r"\g<1>999", "add up to 1000"),
    "no particles": (r"(\$PARTICLES:\n)\d+", r"\g<1>0", "empty"),
    "no photons": (r"\$PHOTONS:\n\d+", "", "add up to"),
    "neutrons": (r"(\$BYTE_ORDER:)", r"$NEUTRONS:\n4\n\1", "holds neutrons"),
    "original histories": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>333", "records 334 original histories"),
    "zero histories": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>0", r"\$ORIG_HISTORIES is 0"),
    "negative histories": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>-5", "not below 0"),
    "half a history": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>1000.5", "whole numbers"),
    "word for number": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>many", "'many' is not a number"),
    "nan": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>nan", "not a finite number"),
    "empty block": (r"(\$ORIG_HISTORIES:\n)\d+", r"\g<1>", "must hold one number, found 0"),
    "event generator": (r"(\$FILE_TYPE:\n)\d+", r"\g<1>1", "event generator"),
    "key twice": (r"(\$FILE_TYPE:\n)\d+", r"\g<1>0\n\g<1>0", "twice"),
    "flag above 1": (r"1     // X is stored", "2     // X is stored", "must be 0 or 1"),
    "x not stored": (
        r"1     // X is stored",
        "0     // X is stored",
        r"\$RECORD_CONSTANT holds 1 numbers for 2",
    ),
    "constant missing": (r"50.0     // Constant Z", "", r"\$RECORD_CONSTANT holds 0 numbers for 1"),
    "constant too many": (
        r"(50.0     // Constant Z)",
        r"\1\n3.0",
        r"\$RECORD_CONSTANT holds 2 numbers for 1",
    ),
    "constant far": (r"50.0     // Constant Z", "32000.0", "z not within"),
    "extra type missing": (
        r"0     // Extra longs",
        "1     // Extra longs",
        "announces 1 extra values but lists 0",
    ),
    "contents short": (r".*0     // Extra longs stored \?\n", "", r"\$RECORD_CONTENTS holds 8 numbers"),
    "not a header": (r"(?s).+", "hello\n", "not an IAEA phase-space header"),
    "empty header": (r"(?s).+", "", "not an IAEA phase-space header"),
    "header cut short": (r"(?s)\$RECORD_LENGTH.*", "", r"\$RECORD_LENGTH is missing"),
}


def edit(path, pattern, replacement):
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text, "the test edited nothing"
    path.write_text(changed)


def good_file(folder):
    particles = some_particles()._replace(z=np.full(N, 50.0))
    return write_phase_space(folder / "a", particles, 1000, constants=("z",))


@pytest.mark.parametrize("fault", HEADER_FAULTS)
def test_refuses_header(tmp_path, fault):
    pattern, replacement, message = HEADER_FAULTS[fault]
    ps = good_file(tmp_path)
    edit(ps.header_path, pattern, replacement)
    with pytest.raises(InputError, match=message):
        open_phase_space(ps.header_path)


RECORD_FAULTS = {
    "zero energy": ("energy", 0.0, "record 500: energy is zero"),
    "nan energy": ("energy", np.nan, "record 500: energy not in"),
    "huge energy": ("energy", -51.0, "record 500: energy not in"),
    "zero weight": ("weight", 0.0, "record 500: weight is not above 0"),
    "negative weight": ("weight", -1.0, "record 500: weight is not above 0"),
    "infinite weight": ("weight", np.inf, "record 500: weight is not above 0"),
    "nan position": ("x", np.nan, "record 500: x not within"),
    "far position": ("y", 1e6, "record 500: y not within"),
    "direction": ("u", 1.01, "record 500: U and V"),
    "nan direction": ("v", np.nan, "record 500: U and V"),
    "neutron": ("kind", -4, "record 500: a neutron or proton"),
    "unknown type": ("kind", 77, "record 500: unknown particle type"),
    "smallest type": ("kind", -128, "record 500: unknown particle type"),
    "type zero": ("kind", 0, "record 500: unknown particle type"),
}


@pytest.mark.parametrize("fault", RECORD_FAULTS)
def test_refuses_record(tmp_path, fault):
    column, value, message = RECORD_FAULTS[fault]
    ps = good_file(tmp_path)
    records = np.array(ps.records(0, N))
    records[column][500] = value
    ps.data_path.write_bytes(records.tobytes())
    with pytest.raises(InputError, match=message):
        open_phase_space(ps.data_path)


def test_refuses_counts_by_type(tmp_path):
    ps = good_file(tmp_path)
    photons, electrons, _ = ps.header.counts
    edit(ps.header_path, rf"(\$PHOTONS:\n){photons}", rf"\g<1>{photons + 1}")
    edit(ps.header_path, rf"(\$ELECTRONS:\n){electrons}", rf"\g<1>{electrons - 1}")
    with pytest.raises(InputError, match="photons, electrons, positrons but its header"):
        open_phase_space(ps.header_path)


@pytest.mark.parametrize("change", [-1, 1, -29])
def test_refuses_size(tmp_path, change):
    ps = good_file(tmp_path)
    data = ps.data_path.read_bytes()
    ps.data_path.write_bytes(data[:change] if change < 0 else data + b"\0")
    with pytest.raises(InputError, match=f"holds {len(data) + change} bytes"):
        open_phase_space(ps.data_path)


def test_refuses_no_history_flag_at_all(tmp_path):
    with pytest.raises(InputError, match="no record carries the new-history flag"):
        write_phase_space(tmp_path / "a", some_particles()._replace(new_history=np.zeros(N, bool)), 1000)


def test_refuses_increments_that_contradict(tmp_path):
    particles = some_particles()
    with pytest.raises(InputError, match="record 1: incremental history number"):
        write_phase_space(tmp_path / "a", particles, 1000, extra_longs=[(1, np.ones(N))])
    empty_ones = np.where(particles.new_history, 4, 0)
    with pytest.raises(InputError, match="records 1336 original histories but its header says 1000"):
        write_phase_space(tmp_path / "a", particles, 1000, extra_longs=[(1, empty_ones)])


def test_refuses_constant_w_that_is_no_direction(tmp_path):
    particles = some_particles()._replace(w=np.full(N, 0.5))
    with pytest.raises(InputError, match="constant W"):
        write_phase_space(tmp_path / "a", particles, 1000, constants=("w",))


@pytest.mark.parametrize("lost", ["header_path", "data_path"])
def test_refuses_half_a_pair(tmp_path, lost):
    ps = good_file(tmp_path)
    getattr(ps, lost).unlink()
    with pytest.raises(InputError, match="is missing"):
        open_phase_space(tmp_path / "a")


def test_refuses_ambiguous_names(tmp_path):
    ps = good_file(tmp_path)
    data = ps.data_path.read_bytes()
    ps.data_path.unlink()
    for name in ("a.iaeaphsp", "a.IAEAPHSP"):
        (tmp_path / name).write_bytes(data)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system does not distinguish upper and lower case")
    with pytest.raises(InputError, match=r"a\.IAEAPHSP, a\.iaeaphsp"):
        open_phase_space(tmp_path / "a")


def test_refuses_missing_folder_and_folder_for_file(tmp_path):
    with pytest.raises(InputError, match="cannot look into"):
        open_phase_space(tmp_path / "nowhere" / "a")
    ps = good_file(tmp_path)
    ps.data_path.unlink()
    ps.data_path.mkdir()
    with pytest.raises(InputError, match=r"a\.IAEAphsp: is not a file"):
        open_phase_space(tmp_path / "a")


def test_refuses_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "nowhere" / "a", tmp_path / "file" / "a"):
        with pytest.raises(InputError, match="cannot write the phase space"):
            write_phase_space(place, some_particles(), 1000)


def test_full_disk_leaves_nothing_behind(tmp_path, full_disk):
    with full_disk(5000), pytest.raises(InputError, match="cannot write the phase space"):
        write_phase_space(tmp_path / "a", some_particles(), 1000)
    assert list(tmp_path.iterdir()) == []


def test_summary(tmp_path):
    """Photons from a point fill a field 6 cm wide in x and 4 cm in y, 100 cm from the source."""
    n = 200_000
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-3, 3, n), rng.uniform(-1, 3, n)
    norm = np.sqrt(x**2 + y**2 + 100**2)
    ones = np.ones(n)
    particles = Particles(
        np.ones(n, np.int8), 2 * ones, x / 2, y / 2, 50 * ones, x / norm, y / norm, 100 / norm, ones, ones > 0
    )
    summary = summarise(write_phase_space(tmp_path / "a", particles, n), plane_z=100.0)
    np.testing.assert_allclose(summary.field_cm, (-3, 3, -1, 3), atol=0.11)
    assert summary.mean_energy == {"photon": pytest.approx(2)}
    assert summary.total_weight == pytest.approx(n) and summary.recorded_histories == n
    np.testing.assert_allclose(summary.upper, (1.5, 1.5, 50), atol=1e-3)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "histories", "recorded", "half_field"),
    [("g6ff_10x10_below", 120_000, 38_219, 5.0), ("g6fff_5x5_below", 400_000, 100_935, 2.5)],
)
def test_real_files(shared, name, histories, recorded, half_field):
    """Written by BEAMnrc: its own statistics in the header, and the jaws, are found again."""
    ps = open_phase_space(shared / "phase-space" / name)
    summary = summarise(ps, plane_z=100.0)
    assert (ps.header.orig_histories, summary.recorded_histories) == (histories, recorded)
    stated = ps.header.info["STATISTICAL_INFORMATION_PARTICLES"].splitlines()
    for line in stated[-3:]:
        _, _, _, mean_energy, _, _, kind = line.split()
        assert summary.mean_energy[kind.lower().rstrip("s")] == pytest.approx(float(mean_energy), rel=1e-3)
    x1, x2, y1, y2 = map(float, ps.header.info["STATISTICAL_INFORMATION_GEOMETRY"].split())
    np.testing.assert_allclose((*summary.lower[:2], *summary.upper[:2]), (x1, y1, x2, y2), rtol=1e-4)
    np.testing.assert_allclose(np.abs(summary.field_cm), half_field, atol=0.11)


@pytest.mark.shared
def test_a_million_records_open_in_well_under_a_second(shared):
    start = time.process_time()
    ps = open_phase_space(shared / "phase-space" / "g6fff_10x10_above.IAEAphsp")
    assert time.process_time() - start < 0.8
    assert len(ps) == 1_320_983


LIMITED = """$TITLE:
TOPAS Phase Space in "limited" format.
$RECORD_CONTENTS:
    1     // X is stored ?
    1
    1
    1
    1
    1
    1
    0
    0
$RECORD_LENGTH:
29
$ORIG_HISTORIES:
5000
$PARTICLES:
1000
$EXTRA_FLOATS:
0
$EXTRA_INTS:
0
"""


def test_the_limited_format_of_topas(tmp_path):
    """The same records with a header that states no type, constants, counts, order and checksum."""
    particles = some_particles()
    written = write_phase_space(tmp_path / "a", particles, orig_histories=5000)
    (tmp_path / "b.phsp").write_bytes(written.data_path.read_bytes())
    (tmp_path / "b.header").write_text(LIMITED)
    for name in ("b.header", "b.phsp", "b"):
        ps = open_phase_space(tmp_path / name)
        assert_same(ps.read(0, N), particles)
        assert ps.header.counts == written.header.counts and ps.header.orig_histories == 5000
    (tmp_path / "b.header").write_text(LIMITED.replace("1000", "1001"))
    with pytest.raises(InputError, match=r"b\.phsp: holds 29000 bytes, its header says 29029"):
        open_phase_space(tmp_path / "b")


def test_formats_of_others_are_named(tmp_path):
    (tmp_path / "b.header").write_text("TOPAS Binary Phase Space\n\nNumber of Original Histories: 100\n")
    (tmp_path / "b.phsp").write_bytes(bytes(34))
    with pytest.raises(InputError, match=r"in the format TOPAS Binary.*Limited"):
        open_phase_space(tmp_path / "b.phsp")
    (tmp_path / "c.egsphsp1").write_bytes(b"MODE0" + bytes(100))
    with pytest.raises(InputError, match=r"EGSnrc's own format.*IAEA"):
        open_phase_space(tmp_path / "c.egsphsp1")


def test_a_constant_weight_that_is_not_stated_is_one(tmp_path):
    particles = some_particles()._replace(weight=np.ones(N))
    ps = write_phase_space(tmp_path / "a", particles, orig_histories=5000, constants=("weight",))
    assert not ps.warnings
    text = ps.header_path.read_text()
    cut = re.sub(r".*// Constant Weight\n", "", text)
    assert cut != text
    ps.header_path.write_text(cut)
    ps = open_phase_space(tmp_path / "a")
    assert_same(ps.read(0, N), particles)
    assert ps.warnings == ("a.IAEAheader states no constant weight: 1 was taken",)


@pytest.mark.parametrize(
    ("there", "words"), [(N, "the data agree with .PARTICLES: write 29000"), (N - 1, "copy or write")]
)
def test_a_wrong_checksum_is_reported_with_the_size_of_the_data(tmp_path, there, words):
    ps = write_phase_space(tmp_path / "a", some_particles(), orig_histories=5000)
    ps.data_path.write_bytes(ps.data_path.read_bytes()[: 29 * there])
    ps.header_path.write_text(ps.header_path.read_text().replace("29000", "29001"))
    with pytest.raises(InputError, match=rf"CHECKSUM is 29001 .* and a\.IAEAphsp has {29 * there} \({words}"):
        open_phase_space(tmp_path / "a")


def test_total_energies_of_electrons_are_suspected(tmp_path):
    """EGSnrc before 2025a wrote them in place of kinetic ones."""
    particles = some_particles()
    charged = particles.kind > 1
    assert not write_phase_space(tmp_path / "a", particles, orig_histories=5000).warnings
    total = particles._replace(energy=np.float32(particles.energy + 0.511 * charged).astype(float))
    (warning,) = write_phase_space(tmp_path / "b", total, orig_histories=5000).warnings
    assert f"none of its {charged.sum()} electrons and positrons has less than 0.511 MeV" in warning
