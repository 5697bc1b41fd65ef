"""Parameters of a head: names, starts, and what changing them changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mc.config import Physics
from mc.machine.head_model import Head, Part
from mc.machine.machine import PhaseSpaceFile, read_machine
from mc.run.progress import Listener
from mc.run.report import RunReport
from phantoms.errors import InputError
from tests.validation.commission.linac import write_linac, write_scans
from validation.commission.compute import ComputedField, Curve
from validation.commission.criteria import load_criteria
from validation.commission.fields import sort_by_field
from validation.commission.parameters import entries, parameters_of, with_values
from validation.commission.run import Effort, tune_source
from validation.commission.source import for_fields
from validation.scans import read_folder

FILTER = Part("flattening filter", "copper", None, (12.5, 13.5, 14.5), (0.0,) * 3, (0.0, 1.0, 3.0))
TARGET = Part("target", "tungsten", None, (0.0, 0.1), (0.0,) * 2, (float("inf"),) * 2)
HEAD = Head(
    electron_mev=6.0, energy_fwhm_mev=0.0, spot_radius_cm=None, spot_fwhm_cm=(0.1, 0.2), splitting=100,
    splitting_radius_cm=10.0, contaminants_from_z_cm=None, plane_z_cm=27.0, radius_cm=30.0, electrons=1000,
    parts=(TARGET, FILTER),
)  # fmt: skip


@dataclass
class Named:
    """As much of a machine as messages need."""

    path: str = "linac.toml"


@pytest.fixture(scope="module")
def linac(tmp_path_factory):
    return write_linac(tmp_path_factory.mktemp("linac"), {"five": (-2.5, 2.5, -2.5, 2.5)})


def test_values_reach_the_head():
    head = with_values(Named(), HEAD, {"energy": 6.3, "spot": 0.3, "filter": 1.1})
    assert head.electron_mev == 6.3
    assert head.spot_fwhm_cm == pytest.approx((0.2, 0.4))  # the mean is 0.3, the shape stays
    assert head.parts[1].z_cm == pytest.approx((12.3, 13.4, 14.5))  # thicker, about its wide face
    assert head.parts[0] is TARGET and head.parts[1].outer_cm == FILTER.outer_cm
    disc = replace(HEAD, spot_radius_cm=0.06, spot_fwhm_cm=None)
    assert with_values(Named(), disc, {"spot": 0.09}).spot_radius_cm == 0.09


def test_entries_for_the_machine_file():
    head = with_values(Named(), HEAD, {"energy": 6.31, "spot": 0.3, "filter": 1.1})
    assert list(map(str, entries(Named(), head, ("energy", "spot", "filter")))) == [
        "electron_mev = 6.3100",
        "spot_fwhm_cm = [0.2000, 0.4000]",
        "z_cm = [12.30000, 13.40000, 14.50000]  # of the part 'flattening filter'",
    ]


def test_filter_with_its_wide_face_above():
    turned = replace(FILTER, outer_cm=(3.0, 1.0, 0.0))
    head = with_values(Named(), replace(HEAD, parts=(TARGET, turned)), {"filter": 0.9})
    assert head.parts[1].z_cm == pytest.approx((12.5, 13.4, 14.3))


def test_starts_are_the_machine_file_s():
    energy, spot, thickness = parameters_of(Named(), HEAD, ("energy", "spot", "filter"))
    assert (energy.start, spot.start, thickness.start) == pytest.approx((6.0, 0.15, 1.0))
    for parameter in (energy, thickness):
        assert parameter.least < parameter.start - parameter.step
        assert parameter.start + parameter.step < parameter.most
    assert spot.value(spot.moved(0.15)) == pytest.approx(0.15)
    assert spot.value(spot.step) == pytest.approx(0.149, abs=0.001)  # a FWHM of 1.5 mm: 0.4 mm2 of variance
    disc = replace(HEAD, spot_radius_cm=0.06, spot_fwhm_cm=None)
    (radius,) = parameters_of(Named(), disc, ("spot",))
    assert radius.value(radius.step) / 2.0 == pytest.approx(spot.value(spot.step) / 2.3548, rel=1e-4)


@pytest.mark.parametrize(
    ("names", "parts", "words"),
    [
        (("current",), (TARGET, FILTER), "energy, spot, filter"),
        (("energy", "energy"), (TARGET, FILTER), "twice"),
        (("filter",), (TARGET,), "0 parts"),
        (("filter",), (TARGET, FILTER, replace(FILTER, name="second filter")), "2 parts"),
    ],
)
def test_refusals(names, parts, words):
    with pytest.raises(InputError, match=words):
        parameters_of(Named(), replace(HEAD, parts=parts), names)


def test_source_is_tuned_through_its_head(linac, tmp_path, monkeypatch):
    """From names to a tuned head: a source whose attenuation answers to its energy is found again."""
    machine = read_machine(linac)
    quality = replace(machine.energies[0], head=HEAD)
    machine = replace(machine, energies=(quality,))
    fields, _ = sort_by_field(machine, read_folder(write_scans(tmp_path)))
    random, asked, made, forgotten = np.random.default_rng(3), set(), [], []

    def depth_dose(z, mev):
        return np.exp(-(0.06 - 0.01 * (mev - 6.2)) * z) - 0.5 * np.exp(-z / 0.4)

    def computed(machine, fields, physics, effort, listener, prefix=""):
        head = fields[0].quality.head
        assert fields[0].quality.phase_spaces == () and head.parts == HEAD.parts
        asked.add((head.electrons, effort.uncertainty))
        listener.stage(prefix)
        (deep,) = (scan for scan in fields[0].scans if scan.kind == "PDD")
        z = deep.positions
        dose = depth_dose(z, head.electron_mev)
        groups = dose * (1 + 0.01 * random.standard_normal((16, z.size)))
        mean = groups.mean(axis=0)
        curve = Curve(deep, z, mean, 0.0025 * mean, 0 * mean, groups)
        made.append(Path(f"{head.electron_mev}-{head.electrons}"))
        space = PhaseSpaceFile(made[-1], "above_jaws", 0.0, (-9.0, 9.0, -9.0, 9.0))
        served = replace(fields[0], quality=replace(fields[0].quality, phase_spaces=(space,)))
        return [ComputedField(served, (curve,), None, 0.2, RunReport())]

    monkeypatch.setattr("validation.commission.run.compute_fields", computed)
    monkeypatch.setattr("validation.commission.run.remove_cached_head", forgotten.append)
    stages = []
    effort = Effort(search_electrons=300, search_uncertainty=0.03)
    tuning, again, tuned = tune_source(
        machine, fields, ("energy",), load_criteria(), Physics(), effort, Listener(stages.append)
    )
    assert tuning.best[0] == pytest.approx(6.2, abs=4 * tuning.sigma[0]) and tuning.sigma[0] < 0.05
    assert tuned[0].quality.head == replace(HEAD, electron_mev=round(tuning.best[0], 4))
    assert again.energies[0] == tuned[0].quality and tuning.determined(0)
    assert sorted(asked) == [(300, 0.03), (900, 0.03 / 3**0.5)]  # of the search, and of its last round
    assert forgotten == made and len(set(made)) == len(made)  # each when the next was there
    assert stages[0] == "tuning, run 1 (energy 6): "


def test_head_for_the_fields(linac, tmp_path):
    """Photons towards the fields are split more; none are left out, for tails of profiles answer to them."""
    machine = read_machine(linac)
    fields, _ = sort_by_field(machine, read_folder(write_scans(tmp_path)))  # 5 x 5 cm
    quality = replace(machine.energies[0], head=replace(HEAD, splitting_radius_cm=20.0), phase_spaces=())
    head = for_fields(quality, fields, 5000, 500).head
    assert head.electrons == 500 and head.splitting_radius_cm == 20.0
    assert head.core.radius_cm == pytest.approx(1.15 * 2.5 * 2**0.5) and head.core.splitting > head.splitting
    small = for_fields(
        replace(quality, head=replace(HEAD, splitting_radius_cm=4.0)), fields, 10**9, 5000
    ).head
    assert small.core is None and small.electrons == HEAD.electrons
    assert for_fields(replace(quality, head=None), fields, 5000, 500).head is None


def test_one_beam_at_a_time(linac, tmp_path):
    machine = read_machine(linac)
    fields, _ = sort_by_field(machine, read_folder(write_scans(tmp_path)))
    other = replace(fields[0], quality=replace(fields[0].quality, nominal_mv=10.0))
    with pytest.raises(InputError, match="one beam at a time"):
        tune_source(machine, (*fields, other), ("energy",), None, None, None, None)
