"""Whether stated sigmas are the true ones: doses repeated with other random numbers, or from other files.

Over seeds of one phase space the dose spreads by its transport sigma, over independent phase spaces of one
head, each with a seed of its own, by the total of transport and latent sigma. Stated over true is
sqrt(<stated variance> / true variance), both relative to the dose and averaged over the voxels above half the
maximum. Its own uncertainty comes from leaving out each repeat in turn (jackknife), which knows that voxels
are correlated.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mc.config import Physics
from mc.dose import Dose
from mc.plan.delivery import fixed
from mc.run.batch import PlacedBeam
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Progress
from mc.run.simulate import simulate
from mc.source.phase_space import PhaseSpace
from phantoms.recipes import water_tank
from phantoms.schema import Table
from phantoms.subvoxels import SubVoxels
from validation.engine.case import Case, read_physics
from validation.engine.synthetic_head import Head, write_head
from validation.engine.verdict import ALLOWANCE, Check, Options, Verdict
from validation.metrics.dvh import Dvh

GAP = 1.0  # between the plane of the phase space and the tank, on the axis [cm]
LIMIT = 5.0  # of the departure of stated over true from 1 [%]
FINE = 0.5  # voxel up to which DVH metrics are looked at; their sigma is of the transport alone [cm]
METRICS = ("Dmean", "D98%", "D50%", "D2%")
REGIONS = {"cube of 3 cm": 1.5, "cube of 1 cm": 0.5}  # half sides, about the isocentre [cm]


@dataclass(frozen=True)
class Study:
    """One way of repeating a dose.

    Parameters
    ----------
    name : str
    varied : {"seed", "file"}
    angles : tuple of float
        Gantry angles of the beams, which all use the same file [degrees].
    mirror : bool
        Whether the file is used in its mirror images.
    passes : float
    voxel : float
        [cm]
    """

    name: str
    varied: str
    angles: tuple[float, ...]
    mirror: bool
    passes: float
    voxel: float


@dataclass(frozen=True, eq=False)
class Repeats:
    """Doses that should differ by their stated sigmas. Arrays (repeats, voxels), relative to the mean dose.

    Parameters
    ----------
    study : Study
    dose, variance : array
        Of the voxels above half the maximum of the mean dose.
    regions : dict of (str, str) to (repeats, 2) array
        Value and stated sigma of DVH metrics.
    """

    study: Study
    dose: np.ndarray
    variance: np.ndarray
    regions: dict[tuple[str, str], np.ndarray]

    def of_voxels(self) -> np.ndarray:
        """Stated over true of each voxel, (voxels,)."""
        return np.sqrt(self.variance.mean(axis=0) / self.dose.var(axis=0, ddof=1))

    def of_map(self) -> tuple[float, float]:
        """Stated over true of the map of sigmas, and its uncertainty."""
        return stated_over_true(self.dose, self.variance)

    def check(self, quick: bool) -> Check:
        """Departure of stated over true from 1; a full run knows it too well to need an allowance."""
        ratio, error = self.of_map()
        name = f"{self.study.name}: stated over true sigma less 1"
        return Check(name, 100 * (ratio - 1), LIMIT, 100 * error, allowance=ALLOWANCE if quick else 0.0)

    def of_metrics(self) -> dict[str, tuple[float, float]]:
        """The same of DVH metrics."""
        return {
            f"{metric}, {region}": stated_over_true(found[:, :1], found[:, 1:] ** 2)
            for (region, metric), found in self.regions.items()
        }


def run(case: Case, options: Options) -> Verdict:
    """Repeat every study of a case and compare."""
    table = case.table()
    physics, head = read_physics(table), Head.read(table.table("head"))
    size = table.numbers("size", 3, above=0.0)
    repeats = [int(table.number(key, above=2)) for key in ("quick_repeats", "repeats")]
    studies = [_read_study(entry) for entry in table.tables("studies")]
    table.finish()
    wanted = repeats[0] if options.quick else repeats[1]
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for study in studies:
            options.on_progress(
                Progress(share_done=len(found) / len(studies), elapsed=time.process_time() - started)
            )
            found.append(repeat(study, head, size, physics, wanted, Path(folder), options))
    return Verdict(
        case.name,
        tuple(repeats.check(options.quick) for repeats in found),
        physics,
        wanted * sum(_histories(study, head) for study in studies),
        time.process_time() - started,
        {"repeats": wanted, "stated_over_true_of_dvh_metrics": _metric_facts(found)},
        _drawing(case, found),
    )


def _read_study(entry: Table) -> Study:
    study = Study(
        entry.text("name"),
        entry.choice("varied", ("seed", "file")),
        entry.numbers("angles", int(entry.number("beams", above=0))),
        "mirror" in entry and entry.choice("mirror", ("xy",)) == "xy",
        entry.number("passes", above=0.0),
        entry.number("voxel", above=0.0),
    )
    entry.finish()
    return study


def repeat(
    study: Study,
    head: Head,
    size: tuple[float, float, float],
    physics: Physics,
    repeats: int,
    folder: Path,
    options: Options,
) -> Repeats:
    """Run a study.

    Parameters
    ----------
    size : (float, float, float)
        Of the water tank along x, y, z [cm].
    folder : Path
        For the phase spaces.
    """
    phantom = water_tank(size[::-1], (study.voxel,) * 3)
    stop = StopRule(None, histories=_histories(study, head))
    doses = []
    for seed, space in enumerate(_files(study, head, repeats, folder)):
        beams = _beams(study, space, size[2])
        result = simulate(phantom, beams, RunOptions(physics, stop, seed, options.threads))
        if result.report.interrupted:
            raise KeyboardInterrupt
        doses.append(result.dose)
    latent = study.varied == "file"
    mean = np.mean([dose.mean for dose in doses], axis=0)
    high = mean > 0.5 * mean.max()
    variances = [dose.sigma[high] ** 2 + (dose.latent[high] ** 2 if latent else 0.0) for dose in doses]
    return Repeats(
        study,
        np.array([dose.mean[high] for dose in doses]) / mean[high],
        np.array(variances) / mean[high] ** 2,
        _regions(doses) if not latent and study.voxel <= FINE else {},
    )


def _files(study: Study, head: Head, repeats: int, folder: Path) -> Iterator[PhaseSpace]:
    """The phase space of every repeat."""
    for number in range(repeats):
        if number == 0 or study.varied == "file":
            space = write_head(folder, head, number)
        yield space


def _beams(study: Study, space: PhaseSpace, depth: float) -> list[PlacedBeam]:
    """Beams about the middle of the tank, all from one file, the second half as strong and so on."""
    beams = []
    for number, angle in enumerate(study.angles, start=1):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        rotation = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
        origin = np.array([0.0, 0.0, 0.5 * depth]) - (0.5 * depth + GAP) * rotation[:, 2]
        beams.append(PlacedBeam(number, space, fixed(rotation, origin), 1.0 / number, (study.mirror,) * 2))
    return beams


def _histories(study: Study, head: Head) -> int:
    """Original histories of a run as `mc.run.simulate` counts them: each use of a file by a beam anew."""
    return round(study.passes * head.histories * len(study.angles) * (4 if study.mirror else 1))


def _regions(doses: list[Dose]) -> dict[tuple[str, str], np.ndarray]:
    """Values and stated sigmas of DVH metrics in cubes about the middle of the grid."""
    grid = doses[0].grid
    centres = [grid.centres(axis) - 0.5 * (grid.lower[axis] + grid.upper[axis]) for axis in range(3)]
    farthest = np.max(np.abs(np.meshgrid(*centres, indexing="ij")), axis=0)
    found = {}
    for name, half in REGIONS.items():
        inside = SubVoxels.of_fraction((farthest < half).astype(float), grid)
        dvhs = [Dvh(inside, dose.mean, dose.sigma) for dose in doses]
        for metric in METRICS:
            values = [dvh.metric(metric) for dvh in dvhs]
            found[name, metric] = np.array([(value.value, value.sigma) for value in values])
    return found


def stated_over_true(dose: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """sqrt(<variance> / variance of the doses over the repeats), and its uncertainty. Arrays (repeats, n).

    NaN where nothing varies.
    """
    n = len(dose)

    def ratio(chosen: np.ndarray) -> float:
        true = dose[chosen].var(axis=0, ddof=1).mean()
        return math.sqrt(variance[chosen].mean() / true) if true > 0 else math.nan

    every = np.arange(n)
    less_one = [ratio(np.delete(every, k)) for k in every]
    return ratio(every), math.sqrt((n - 1) * np.var(less_one))


def _metric_facts(found: list[Repeats]) -> dict[str, dict[str, list[float]]]:
    return {
        repeats.study.name: {
            name: [round(x, 3) for x in ratio] for name, ratio in repeats.of_metrics().items()
        }
        for repeats in found
        if repeats.regions
    }


def _drawing(case: Case, found: list[Repeats]) -> Callable[[Path], None]:
    def draw(path: Path) -> None:
        from validation.engine.figures import draw_coverage

        judged = {repeats.study.name: (repeats.of_voxels(), repeats.of_map()) for repeats in found}
        shown = {
            f"{repeats.study.name}: {name}": ratio
            for repeats in found
            for name, ratio in repeats.of_metrics().items()
        }
        draw_coverage(path, case.title, judged, shown, 0.01 * LIMIT)

    return draw
