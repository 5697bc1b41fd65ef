"""Whole runs: their two sigmas against the spread over seeds and files, their quality, what they refuse."""

import numpy as np
import pytest

from mc.plan.delivery import fixed
from mc.run import batch
from mc.run.batch import PlacedBeam
from mc.run.options import RunOptions, StopRule
from mc.run.simulate import simulate
from mc.source.phase_space import Particles
from mc.source.phase_space_writer import write_phase_space
from phantoms.errors import InputError
from phantoms.recipes import water_tank


@pytest.fixture(scope="module", autouse=True)
def small_runs():
    """Passes cut into fewer groups, to spare calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "GROUPS", 8)
        yield


PHANTOM = water_tank((4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
ORIGINAL = 1000  # histories of every phase space here, of which four in five left a particle


def phase_space(folder, number=0, recorded=800, weights=(1.0, 1.0)):
    """A parallel field of 0.3 MeV photons, one in twenty of the second weight."""
    rng = np.random.default_rng(number)
    x, y = rng.uniform(-1.5, 1.5, (2, recorded))
    zero, one = np.zeros(recorded), np.ones(recorded)
    weight = np.where(rng.uniform(size=recorded) < 0.05, weights[1], weights[0])
    particles = Particles(
        np.ones(recorded, np.int8), 0.3 * one, x, y, zero, zero, zero, one, weight, np.ones(recorded, bool)
    )
    return write_phase_space(folder / f"file{number}", particles, ORIGINAL)


def placed(space, weight=1.0, number=1, mirror=(False, False)):
    return PlacedBeam(number, space, fixed(np.eye(3), np.array([0.0, 0.0, -1.0])), weight, mirror)


def dose_of(*beams, phantom=PHANTOM, seed=1, passes=2, **more):
    per_pass = ORIGINAL * max(beam.images for beam in beams) * len(beams)
    stop = StopRule(uncertainty=None, histories=passes * per_pass)
    return simulate(phantom, beams, RunOptions(stop=stop, seed=seed, threads=1), **more)


def stated_over_true(doses):
    """Transport sigma and total sigma as stated, over the spread of the doses; rms of the higher voxels."""
    mean = np.mean([dose.mean for dose in doses], axis=0)
    high = mean > 0.3 * mean.max()
    true = np.var([dose.mean for dose in doses], axis=0, ddof=1)[high].mean()
    transport = np.mean([dose.sigma[high] ** 2 for dose in doses])
    latent = np.mean([dose.latent[high] ** 2 for dose in doses])
    return np.sqrt(transport / true), np.sqrt((transport + latent) / true)


def test_transport_sigma_is_the_spread_over_seeds(tmp_path):
    space = phase_space(tmp_path)
    doses = [dose_of(placed(space), seed=seed, passes=4).dose for seed in range(30)]
    assert stated_over_true(doses)[0] == pytest.approx(1.0, abs=0.1)


def over_files(folder, files, mirror=(False, False), **more):
    """Doses of files that differ in their histories and in their number."""
    recorded = np.random.default_rng(1).binomial(ORIGINAL, 0.8, files)
    for k in range(files):
        space = phase_space(folder, k, int(recorded[k]), weights=(0.2, 20.0))
        yield dose_of(placed(space, mirror=mirror), seed=k, **more).dose


def test_total_sigma_is_the_spread_over_files(tmp_path):
    """Where the latent sigma is the larger one. It is cut at 0 voxel by voxel, which lifts it somewhat."""
    transport, total = stated_over_true(list(over_files(tmp_path, 30, passes=8)))
    assert transport < 0.6
    assert 0.95 < total < 1.15


def test_latent_sigma_on_the_axis_of_mirror_images(tmp_path):
    """Voxels that hold the axis get the same histories in every image: images do not lower their sigma."""
    wide = water_tank((4.0, 4.0, 4.0), (1.0, 4.0, 4.0))
    _, total = stated_over_true(list(over_files(tmp_path, 24, phantom=wide, passes=3, mirror=(True, True))))
    assert (
        0.75 < total < 1.35
    )  # of 24 files: the truth itself is known to 15 %; 1/2 if images were independent


def test_report(tmp_path):
    found = dose_of(placed(phase_space(tmp_path)))
    report = found.report
    assert found.dose.provenance["latent_uncertainty"] == report.latent_uncertainty > 0
    assert report.energy_balance == pytest.approx(1.0, abs=1e-8)
    assert report.lost_particles == report.stack_overflows == 0
    assert report.recorded_histories == 2 * 800
    assert report.histories == 2 * ORIGINAL and report.stopped_by == "histories"


def test_weights_and_beams_add_up(tmp_path):
    """Beams of weights 1 and 3 give four times the dose of one, and so does one of weight 4."""
    space = phase_space(tmp_path)
    one = dose_of(placed(space), passes=6).dose.mean.sum()
    both = dose_of(placed(space), placed(space, 3.0, number=2), passes=6).dose.mean.sum()
    heavy = dose_of(placed(space, 4.0), passes=6).dose.mean.sum()
    assert both == pytest.approx(4 * one, rel=0.05)
    assert heavy == pytest.approx(4 * one, rel=1e-6)


def test_voxels_not_scored_stay_empty(tmp_path):
    scored = np.zeros(PHANTOM.grid.shape, bool)
    scored[1] = True
    space = phase_space(tmp_path)
    part, whole = (dose_of(placed(space), scored=s).dose.mean for s in (scored, None))
    assert (part[~scored] == 0).all()
    np.testing.assert_array_equal(part[scored], whole[scored])


def test_beam_that_misses_is_refused(tmp_path):
    missing_beam = PlacedBeam(1, phase_space(tmp_path), fixed(np.eye(3), np.array([50.0, 0.0, 0.0])), 1.0)
    with pytest.raises(InputError, match="no dose in the patient"):
        dose_of(missing_beam)
