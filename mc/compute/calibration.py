"""Absolute dose: Gy per source history in a machine's reference condition.

The reference field is transported into a water tank. The dose on the axis at the reference depth is taken
from a fit of ln D, quadratic in depth, to the dose in the central square. A plan's dose is then

    D = MU x fractions x (dose per MU) x D(per history, plan) / D(per history, reference).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from mc import __version__
from mc.config import Physics
from mc.machine.collimator_geometry import collimator_materials
from mc.machine.machine import (
    ABOVE,
    BELOW,
    BeamQuality,
    Calibration,
    Machine,
    phase_space_for,
    reference_phase_space,
)
from mc.plan.delivery import fixed
from mc.plan.field import rectangle
from mc.run import parallel
from mc.run.batch import PlacedBeam, group_count, open_on_all_ranks
from mc.run.batch_statistics import REPEATS
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener, Progress
from mc.run.report import RunReport
from mc.run.simulate import count_variance, simulate
from mc.tables import tables_hash
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.phantom import Phantom
from phantoms.recipes import water_tank
from phantoms.user_folders import cache_folder

WIDTH = 30.0  # minimum width and depth of the tank [cm]
DEPTH_STEP = 0.5  # voxel in depth [cm]
FIT_HALF_WIDTH = 4.0  # of the range of depths about the reference depth that is fitted [cm]
STOP = StopRule(uncertainty=0.003)  # of a calibration, whatever that of the plan
ELECTRONS_PER_MU = "electrons per MU"  # origin of a calibration that needs no reference field


@dataclass(frozen=True)
class Calibrated:
    """A calibration and its origin.

    Parameters
    ----------
    calibration : Calibration
    origin : str
        "machine file", "cache", "computed" or `ELECTRONS_PER_MU`.
    report : RunReport or None
        Of the simulation, if one was run.
    """

    calibration: Calibration
    origin: str
    report: RunReport | None = None

    @property
    def relative_sigma(self) -> float:
        """Relative transport sigma."""
        return self.calibration.sigma / self.calibration.gy_per_history

    @property
    def relative_latent(self) -> float | None:
        """Relative latent sigma; None if it was not stated."""
        latent = self.calibration.latent
        return None if latent is None else latent / self.calibration.gy_per_history


class ReferenceDose:
    """Dose at the reference point, batch by batch, with its two sigmas.

    The fit is linear in ln D, so small changes d_k of the depth dose D_k change the logarithm of the fitted
    dose by the weighted sum of d_k / D_k: every batch contributes one number. Within a group these numbers
    vary by the transport alone, and the means of the groups by their histories as well.

    Parameters
    ----------
    phantom : Phantom
    depth : float
        Reference depth [cm].
    averaging : float
        Side of the central square [cm].
    groups : int
        Groups of histories in a pass (`mc.run.batch_statistics`).
    """

    def __init__(self, phantom: Phantom, depth: float, averaging: float, groups: int) -> None:
        grid = phantom.grid
        z = grid.centres(0)
        half = min(FIT_HALF_WIDTH, 0.6 * depth)
        rows = np.abs(z - depth) <= half + 1e-6
        inside = [np.abs(grid.centres(axis)) < 0.5 * averaging for axis in (1, 2)]
        self._square = np.ix_(rows, *inside)
        self._rows = np.count_nonzero(rows)
        self._weights = np.linalg.pinv(np.vander(z[rows] - depth, 3))[2]
        self._batches: list[np.ndarray] = []
        self._groups = groups

    def add(self, batch: np.ndarray) -> None:
        """Add the dose of a batch, (nz, ny, nx) [Gy]."""
        self._batches.append(batch[self._square].mean(axis=(1, 2)))

    @property
    def passes(self) -> int:
        """Passes in complete rounds so far; there is a result from the first round on."""
        return REPEATS * (len(self._batches) // (REPEATS * self._groups))

    def result(self) -> tuple[float, float, float]:
        """Dose of a pass at the reference point, relative transport sigma, relative latent sigma."""
        passes, groups = self.passes, self._groups
        curves = np.array(self._batches[: passes * groups]).reshape(-1, groups, REPEATS, self._rows)
        curves = curves.swapaxes(1, 2).reshape(passes, groups, self._rows)
        curve = curves.sum(axis=(0, 1)) / passes
        if not (curve > 0).all():
            return 0.0, np.inf, np.inf
        dose = float(np.exp(self._weights @ np.log(curve)))
        numbers = curves / curve @ self._weights
        transport = np.sum(np.var(numbers, axis=0, ddof=1)) / passes
        total = groups * np.var(numbers.mean(axis=0), ddof=1)
        return dose, float(np.sqrt(transport)), float(np.sqrt(max(0.0, total - transport)))


def calibrate(
    machine: Machine,
    quality: BeamQuality,
    options: RunOptions = RunOptions(stop=STOP),
    listener: Listener = Listener(),
) -> Calibrated:
    """Compute the dose per source history in the reference condition of a beam quality.

    Parameters
    ----------
    machine : Machine
    quality : BeamQuality
    options : RunOptions
        The uncertainty of its stop rule is the relative transport sigma of the reference dose.
    listener : Listener

    Raises
    ------
    InputError
        If the reference condition cannot be computed.
    KeyboardInterrupt
        If interrupted before there was a result.
    """
    reference = quality.reference
    if reference.medium != "water":
        raise InputError(machine.path, f"reference medium {reference.medium} is not supported", "use water")
    x, y = reference.field_cm
    field = (-0.5 * x, 0.5 * x, -0.5 * y, 0.5 * y)
    beam = water_tank_beam(machine, quality, field, reference.ssd_cm, reference.cone_cm)
    half = 0.5 * reference.averaging_cm
    # Russian roulette spares the particles that head for the central square
    beam = replace(beam, opening=(-half, half, -half, half))
    reference_dose, report = _reference_dose(quality, beam, options, listener)
    if reference_dose.passes < 2:
        if report.interrupted:
            raise KeyboardInterrupt
        raise InputError(
            "calibration", "was stopped before the second pass over the file", "give it more time"
        )
    space = beam.phase_space
    gy, sigma, latent = reference_dose.result()
    if gy <= 0.0:
        raise InputError(
            space.data_path, "gives no dose at the reference point", "check the reference condition"
        )
    result = Calibration(
        gy_per_history=gy,
        sigma=gy * sigma,
        phase_space_sha256=space.sha256,
        version=__version__,
        table_hash=made_with(machine, quality, options.physics),
        latent=gy * float(np.hypot(latent, np.sqrt(count_variance([beam])))),
    )
    return Calibrated(result, "computed", report)


def _reference_dose(
    quality: BeamQuality, beam: PlacedBeam, options: RunOptions, listener: Listener
) -> tuple[ReferenceDose, RunReport]:
    """Transport the reference field until the reference dose, not that of the tank, meets the stop rule."""
    reference, uncertainty = quality.reference, options.stop.uncertainty
    phantom = reference_phantom(quality)
    dose = ReferenceDose(phantom, reference.depth_cm, reference.averaging_cm, group_count([beam]))

    def on_batch(batch: np.ndarray) -> bool:
        dose.add(batch)
        if dose.passes < 2 or uncertainty is None:
            return False
        value, sigma, _ = dose.result()
        return value <= 0.0 or sigma <= uncertainty

    def show(progress: Progress) -> None:
        progress.uncertainty = None
        if dose.passes >= 2:
            progress.uncertainty = dose.result()[1]
            if uncertainty is not None:
                share = (uncertainty / progress.uncertainty) ** 2
                progress.share_done = max(progress.share_done, min(1.0, share))
        listener.progress(progress)

    run = simulate(
        phantom,
        [beam],
        replace(options, stop=replace(options.stop, uncertainty=None)),
        on_batch=on_batch,
        listener=replace(listener, progress=show),
    )
    return dose, run.report


def water_tank_beam(
    machine: Machine,
    quality: BeamQuality,
    field: tuple[float, float, float, float],
    ssd: float,
    cone: float | None = None,
) -> PlacedBeam:
    """A rectangular field, or that of a cone, incident from above on a tank with its surface at z = 0.

    Its weight is the number of electrons on the target per MU, relative to the reference field.

    Parameters
    ----------
    field : (x1, x2, y1, y2)
        In the isocentre plane [cm]; made by the machine's collimators if its phase space lies above the jaws.
    ssd : float
        [cm]
    cone : float, optional
        Diameter of the mounted cone in the isocentre plane [cm].
    """
    file = phase_space_for(quality, field)
    space = open_on_all_ranks(file.file, parallel.world())
    above = file.plane == ABOVE
    still = fixed(np.eye(3), np.array([0.0, 0.0, -ssd]), *(rectangle(machine, field) if above else ()))
    return PlacedBeam(
        number=0,
        phase_space=space,
        delivery=still,
        weight=quality.output(field),
        mirror=file.mirror,
        target_z=file.target_z_cm,
        rotate=file.rotate,
        through=machine if above else None,
        cone=cone,
        opening=field,
    )


def made_with(machine: Machine, quality: BeamQuality, physics: Physics) -> str:
    """Hash of the cross sections of a calibration, and of the collimators that its particles traversed."""
    tables = tables_hash(reference_phantom(quality).materials, physics)
    if reference_phase_space(quality).plane == BELOW:
        return tables
    through = tables_hash(collimator_materials(machine.collimators), physics)
    return sha256(repr((tables, through, machine.collimators)).encode()).hexdigest()


def reference_phantom(quality: BeamQuality) -> Phantom:
    """The water tank of the reference condition: surface at z = 0, voxels a third of the averaging square."""
    reference = quality.reference
    step = reference.averaging_cm / 3.0
    across = max(WIDTH, 1.5 * max(reference.field_cm))
    columns = 2 * int(np.ceil(0.5 * across / step)) + 1
    depth = DEPTH_STEP * np.ceil(max(WIDTH, reference.depth_cm + 10.0) / DEPTH_STEP)
    return water_tank((depth, columns * step, columns * step), (DEPTH_STEP, step, step))


def find_calibration(
    machine: Machine,
    quality: BeamQuality,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> tuple[Calibrated, list[str]]:
    """The calibration of a beam quality: from the machine file, from the user's cache, or computed.

    Parameters
    ----------
    machine : Machine
    quality : BeamQuality
    options : RunOptions
        Of the run that the calibration is for. If it has to be computed, it has the same physics, seed,
        threads and ranks, and the stop rule `STOP`.
    listener : Listener

    Returns
    -------
    Calibrated
    warnings : list of str

    Raises
    ------
    InputError
        If the machine file's calibration was made with another phase space.
    KeyboardInterrupt
        If interrupted while it is computed.
    """
    found = stated_calibration(machine, quality, options.physics)
    if found is not None:
        return found
    world = options.ranks
    space = open_on_all_ranks(reference_phase_space(quality).file, world)
    path = _cache_file(quality, space.sha256, made_with(machine, quality, options.physics))
    # Only one rank looks: all must agree on whether there is work to share.
    cached = world.broadcast(_from_cache(path) if world.rank == 0 else None)
    if cached is not None:
        return cached, []
    own = replace(options, stop=STOP, dose_to_water=False, checkpoint=None)
    computed = calibrate(machine, quality, own, listener)
    if computed.report.interrupted:
        raise KeyboardInterrupt  # an incomplete calibration must not be cached
    if world.rank == 0:
        _to_cache(path, computed)
    return computed, []


def stated_calibration(
    machine: Machine, quality: BeamQuality, physics: Physics
) -> tuple[Calibrated, list[str]] | None:
    """The calibration that the machine file states, and warnings; None if it states none.

    A number of electrons per MU is a calibration too: the dose per history follows without a reference field.

    Raises
    ------
    InputError
        If it was made with another phase space.
    """
    stated, reference = quality.calibration, quality.reference
    if reference.electrons_per_mu is not None:
        gy = reference.dose_per_mu_gy / reference.electrons_per_mu
        return Calibrated(Calibration(gy, 0.0, "-", __version__, "-", latent=0.0), ELECTRONS_PER_MU), []
    if stated is None:
        return None
    space = open_on_all_ranks(reference_phase_space(quality).file, parallel.world())
    if stated.phase_space_sha256 != space.sha256:
        raise InputError(
            machine.path,
            f"its calibration of {quality.label} was made with another phase space than "
            f"{space.data_path.name}",
            "run `mcverify calibrate` on this machine file and enter the new calibration",
        )
    warnings = []
    if stated.table_hash != made_with(machine, quality, physics):
        warnings.append(
            f"the machine file's calibration of {quality.label} was made by version {stated.version} "
            "with other cross-section tables, cut-offs or collimators; `mcverify calibrate` makes a new one"
        )
    return Calibrated(stated, "machine file"), warnings


def _cache_file(quality: BeamQuality, phase_space: str, tables: str) -> Path:
    key = sha256(repr((phase_space, tables, __version__, asdict(quality.reference))).encode())
    return cache_folder() / "calibrations" / f"{key.hexdigest()[:32]}.json"


def _from_cache(path: Path) -> Calibrated | None:
    """A cached calibration; None if there is none or it cannot be read."""
    try:
        return Calibrated(Calibration(**json.loads(path.read_text())), "cache")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _to_cache(path: Path, computed: Calibrated) -> None:
    """Keep a calibration for the next run; a cache that cannot be written is not an error."""
    with suppress(OSError, InputError):
        with replacing(path, private=False, parents=True) as partial:
            partial.write_text(json.dumps(asdict(computed.calibration)))
