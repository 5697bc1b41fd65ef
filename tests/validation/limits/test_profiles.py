"""Profiles: what ships loads, and what is edited wrongly is refused with its key."""

from __future__ import annotations

import pytest

from phantoms.errors import InputError
from validation.limits.profiles import load_profile, shipped_profiles, synonyms

SMALL = """
title = "t"
status = "s"
source = "s"
max_voxel_mm = 2.0
max_sigma_percent = 1.0
flip = "fail"
flip_sigmas = 2.0
[[organs]]
name = "cord"
patterns = "spinalcord* cord"
exclude = "*prv*"
[[gamma]]
dose_percent = 3.0
distance_mm = 2.0
mode = "local"
threshold_percent = 10.0
tolerance = 95.0
action = 90.0
source = "s"
[[difference]]
structures = "cord"
metric = "D0.03cc"
relative_to = "prescription"
tolerance = 2.0
action = 3.0
source = "s"
[[constraint]]
organ = "cord"
metric = "D0.35cc"
fractions = 3
limit = 18.0
source = "s"
"""


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_profile(path)


def test_shipped_profiles_load_and_state_their_authority():
    assert shipped_profiles() == ["hytec-cord", "mppg5b", "spine", "stereotactic", "tg101", "tg218"]
    for name in shipped_profiles():
        profile = load_profile(name)
        assert profile.name == name and profile.status and (profile.gamma or profile.constraints)
        limits = (*profile.gamma, *profile.differences, *profile.constraints)
        assert all(limit.source for limit in limits)
    assert "not a standard" in load_profile().status


def test_tg218_holds_the_published_limits():
    (limit,) = load_profile("tg218").gamma
    assert str(limit.criterion) == "3 %/2 mm global, 10 % threshold"
    assert (limit.tolerance, limit.action) == (95, 90)


@pytest.mark.parametrize(
    "name", ["SpinalCord", "spinal cord", "Spinal_Cord_Lumbar", "CORD", "Medulla spinalis"]
)
def test_cord_by_its_names(name):
    assert load_profile().organ("cord").matches(name)


@pytest.mark.parametrize(
    "name",
    [
        "SpinalCord_PRV2",
        "PTV_cord",
        "SpinalCord-PTV",
        "SpinalCord+2mm",
        "Medulla oblongata",
        "SpinalCanal",
        "Cordina",
    ],
)
def test_what_is_not_the_cord(name):
    assert not load_profile().organ("cord").matches(name)


def test_an_edited_profile(tmp_path):
    profile = load(tmp_path, SMALL)
    assert profile.name == "mine" and profile.gamma[0].criterion.local
    assert profile.constraints[0].limit == 18 and profile.differences[0].action == 3


WRONG = [
    ('flip = "fail"', 'flip = "maybe"', "flip: 'maybe' is unknown"),
    ("flip_sigmas = 2.0", "flip_sigmas = -1", "flip_sigmas"),
    ('metric = "D0.35cc"\nfractions = 3', "", r"constraint\[0\]\.metric, fractions: are missing"),
    ('metric = "D0.35cc"', 'metrc = "D0.35cc"', r"metrc: is unknown \(did you mean 'metric'"),
    ("fractions = 3", 'fractions = "all"', "'all' is unknown.*'any'"),
    ('title = "t"', 'title = "t"\nsad_cm = 100', "sad_cm: is unknown"),
    ("max_voxel_mm = 2.0", "max_voxel_mm = nan", "max_voxel_mm"),
    ("max_voxel_mm = 2.0", "max_voxel_mm = 2.0\nmax_vocel = 1", "max_vocel: is unknown"),
    ("tolerance = 95.0", "tolerance = 85.0", r"gamma\[0\].tolerance"),
    ("tolerance = 95.0", "", r"gamma\[0\].tolerance: is missing"),
    ("tolerance = 2.0", "tolerance = 4.0", r"difference\[0\].action"),
    ('"D0.03cc"', '"D0.03"', r"difference\[0\].metric.*D0.03"),
    ('"D0.03cc"', '"V20Gy"', r"difference\[0\].metric.*not a dose"),
    ('structures = "cord"', 'structures = "cort"', r"difference\[0\].structures.*cord"),
    ("fractions = 3", "fractions = 2.5", r"constraint\[0\].fractions"),
    ("limit = 18.0", 'limit = "18"', r"constraint\[0\].limit"),
    ("limit = 18.0", 'limit = 18.0\nrelation = "<"', r"constraint\[0\].relation"),
    ("limit = 18.0", "limit = 18.0\nprv_mm = [2, 2]", r"constraint\[0\].prv_mm"),
    ("limit = 18.0", "limit = 18.0\nprv_mm = 200", r"constraint\[0\].prv_mm.*margin"),
    ("flip_sigmas = 2.0", 'flip_sigmas = 2.0\nconstraints_from = "tg102"', "constraints_from.*tg101"),
    ('name = "cord"', 'name = "target"', r"organs\[0\].name"),
    ("title = ", "title ", "not valid TOML"),
]


@pytest.mark.parametrize("old, new, message", WRONG)
def test_a_wrong_entry_is_named(tmp_path, old, new, message):
    assert old in SMALL
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, SMALL.replace(old, new, 1))
    assert "mine.toml" in str(caught.value)


def test_limits_by_fractions_of_tg101_and_hytec():
    """Every shipped dose limit of the cord, as docs and abstract state them."""
    limits = {
        (c.metric, c.fractions): c.limit for c in load_profile("tg101").constraints if c.organ == "cord"
    }
    assert limits == {
        ("D0.35cc", 1): 10,
        ("D0.35cc", 3): 18,
        ("D0.35cc", 5): 23,
        ("D1.2cc", 1): 7,
        ("D1.2cc", 3): 12.3,
        ("D1.2cc", 5): 14.5,
        ("D0.03cc", 1): 14,
        ("D0.03cc", 3): 21.9,
        ("D0.03cc", 5): 30,
    }
    hytec = {c.fractions: c.limit for c in load_profile("hytec-cord").constraints}
    assert hytec == {1: 12.4, 2: 17.0, 3: 20.3, 4: 23.0, 5: 25.3}
    assert set(load_profile("spine").constraints) == {
        *load_profile("tg101").constraints,
        *load_profile("hytec-cord").constraints,
    }


def test_relations_and_margins(tmp_path):
    more = """
[[constraint]]
organ = "lungs"
metric = "CV12.4Gy"
fractions = 3
limit = 1000
source = "s"
[[constraint]]
organ = "cord"
metric = "D0.03cc"
fractions = 3
limit = 18
prv_mm = [1, 1, 2]
source = "s"
"""
    profile = load(tmp_path, SMALL + more)
    assert [c.relation for c in profile.constraints] == ["<=", ">=", "<="]
    assert [c.prv_mm for c in profile.constraints] == [None, None, (1, 1, 2)]
    assert profile.constraints[1].unit == "cc"
    assert {o.name for o in profile.organs} == {"cord", "lungs"}


def test_a_profiles_own_organ_goes_before_the_synonyms(tmp_path):
    profile = load(tmp_path, SMALL.replace('"spinalcord* cord"', '"rm"'))
    assert profile.organ("cord").match("RM") == "rm" and not profile.organ("cord").matches("SpinalCord")


@pytest.mark.parametrize(
    "organ, names",
    [
        ("cord", ["SpinalCord", "Rückenmark", "Myelon", "Cord_T12", "SPINAL CORD"]),
        ("cord PRV", ["SpinalCord_PRV2", "PRV_Cord", "SpinalCord_PRV05"]),
        ("cauda equina", ["CaudaEquina", "Cauda"]),
        ("sacral plexus", ["SacralPlex", "LumbSacPlex_L", "Plexus sacralis"]),
        ("oesophagus", ["Esophagus", "Ösophagus", "Oesophagus_T10"]),
        ("brachial plexus", ["BrachialPlex_L", "BrachialPlexus_R"]),
    ],
)
def test_a_name_is_of_one_organ(organ, names):
    for name in names:
        assert [o.name for o in synonyms() if o.matches(name)] == [organ], name


def test_an_absent_profile_names_the_nearest_and_those_there_are(tmp_path):
    with pytest.raises(InputError, match=r"did you mean 'spine'.*spine, stereotactic, tg101, tg218"):
        load_profile("spien")
    (tmp_path / "ours.toml").write_text(SMALL)
    with pytest.raises(InputError, match=r"did you mean .*ours\.toml"):
        load_profile(str(tmp_path / "ours"))


SHORT = """
[[constraint]]
organ = "cord"
metric = "D0.03cc"
fractions = "any"
limit = 14.0
"""


def test_everything_but_the_limits_has_a_default(tmp_path):
    profile, shipped = load(tmp_path, SHORT), load_profile("spine")
    assert profile.title == "mine" and "your own" in profile.status
    for name in ("max_voxel_mm", "max_sigma_percent", "flip", "flip_sigmas", "diagnosis"):
        assert getattr(profile, name) == getattr(shipped, name)
    (limit,) = profile.constraints
    assert limit.fractions is None and all(limit.applies(n) for n in (1, 5, 30, None))
    more = load(tmp_path, SHORT + "[[gamma]]\ndose_percent = 3\ndistance_mm = 2\n")
    assert str(more.gamma[0].criterion) == str(shipped.gamma[0].criterion)


def test_a_profile_without_a_limit_is_refused(tmp_path):
    for text in ("", 'title = "t"', "[[gamma]]\ndose_percent = 3\ndistance_mm = 2\n"):
        with pytest.raises(InputError, match="states no limit to judge by"):
            load(tmp_path, text)


def test_a_file_of_another_kind_is_named(tmp_path):
    with pytest.raises(InputError, match="is a machine file, not a profile"):
        load(tmp_path, 'name = "X"\nsad_cm = 100.0\n')


def test_a_volume_of_unstated_unit_that_cannot_be_a_percentage(tmp_path):
    text = SHORT.replace("D0.03cc", "V10Gy").replace("14.0", "350")
    with pytest.raises(
        InputError, match=r"limit: 350 is above 100 %.*V10Gy is in % of the structure; write V10Gy\[cc\]"
    ):
        load(tmp_path, text)
    assert load(tmp_path, text.replace("V10Gy", "V10Gy[cc]")).constraints[0].unit == "cc"
