"""The scans of a field by Monte Carlo: one run, curves with their two sigmas, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mc.run.batch import PlacedBeam, group_count
from mc.run.batch_statistics import REPEATS, BatchStatistics
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener, Progress
from mc.run.report import RunReport
from mc.run.simulate import count_variance, simulate
from phantoms.errors import InputError
from validation.commission.fields import Field
from validation.commission.tank import fine_positions, sampling, tank_for, voxel_side
from validation.scans import PDD, Scan
from validation.scans.analysis import FIT_HALF_WIDTH
from validation.scans.scan import make_scan

HIGH = 0.5  # of a curve's maximum: points whose sigma the run is stopped by


@dataclass(frozen=True, eq=False)
class Curve:
    """A computed curve.

    Parameters
    ----------
    scan : Scan
        What it is compared with.
    positions : (n,) float64
        Along the scan, ascending, the measured ones among them [cm].
    dose : (n,) float64
        Dose per original history [Gy].
    sigma, latent : (n,) float64
        One sigma of the transport, and one that the phase space's finite number of histories leaves [Gy].
    by_group : (groups, n) float64
        The curve from each group of histories alone; `dose` is their mean. Groups are independent.
    """

    scan: Scan
    positions: np.ndarray
    dose: np.ndarray
    sigma: np.ndarray
    latent: np.ndarray
    by_group: np.ndarray

    def without_group(self, group: int) -> np.ndarray:
        """The curve from all groups but one, (n,) [Gy]."""
        groups = len(self.by_group)
        return (self.by_group.sum(axis=0) - self.by_group[group]) / (groups - 1)


@dataclass(frozen=True, eq=False)
class ComputedField:
    """What one run made of a field.

    Parameters
    ----------
    field : Field
    curves : tuple of Curve
        Of its scans, in their order.
    axis : Curve or None
        Depth dose on the axis, where output factors ask for it.
    voxel_cm : float
        Side of the voxels.
    report : RunReport
    """

    field: Field
    curves: tuple[Curve, ...]
    axis: Curve | None
    voxel_cm: float
    report: RunReport


class CurveBatches:
    """Takes the dose of batch after batch of a run and keeps of it what the curves need.

    Parameters
    ----------
    weights : sequence of sparse (n, voxels) arrays
        Of `validation.commission.tank.sampling`.
    groups : int
        Of the run (`mc.run.batch_statistics`).
    """

    def __init__(self, weights: Sequence, groups: int) -> None:
        self._weights, self._groups = weights, groups
        self._batches: list[np.ndarray] = []  # of all curves, one behind the other
        self._edges = np.cumsum([0, *(weight.shape[0] for weight in weights)])

    def add(self, dose: np.ndarray) -> None:
        """Take in the dose of a batch, (nz, ny, nx) [Gy]."""
        flat = dose.reshape(-1)
        self._batches.append(np.concatenate([weight @ flat for weight in self._weights]))

    @property
    def complete(self) -> bool:
        """Whether every group was used in a whole round at least."""
        return len(self._batches) >= REPEATS * self._groups

    def relative_sigma(self) -> float:
        """Transport sigma of the curves, rms over their points above `HIGH` of each one's maximum."""
        spread = self._spread()
        mean, sigma = spread.mean(), np.sqrt(spread.variances()[0])
        relative = []
        for first, last in zip(self._edges, self._edges[1:], strict=False):
            dose = mean[first:last]
            high = dose >= HIGH * max(dose.max(), np.finfo(float).tiny)
            relative.append(sigma[first:last][high] / dose[high])
        return float(np.sqrt(np.mean(np.concatenate(relative) ** 2)))

    def curves(self, scans: Sequence[Scan], positions: Sequence[np.ndarray], counting: float) -> list[Curve]:
        """The curves so far; `counting` is `mc.run.simulate.count_variance` of the beams."""
        spread = self._spread()
        mean, (transport, latent) = spread.mean(), spread.variances()
        latent = np.sqrt(np.maximum(0.0, latent) + counting * mean**2)
        by_group = np.zeros((self._groups, mean.size))
        uses = np.zeros(self._groups)
        for number, batch in enumerate(self._batches):
            group = number // REPEATS % self._groups
            by_group[group] += batch
            uses[group] += 1
        by_group *= self._groups / uses[:, None]
        by_group += mean - by_group.mean(axis=0)  # the last round may not be whole
        return [
            Curve(scan, at, mean[part], np.sqrt(transport[part]), latent[part], by_group[:, part])
            for scan, at, part in zip(scans, positions, map(slice, self._edges, self._edges[1:]), strict=True)
        ]

    def _spread(self) -> BatchStatistics:
        spread = BatchStatistics(int(self._edges[-1]), self._groups)
        for batch in self._batches:
            spread.add(batch)
        return spread


def compute_field(
    field: Field,
    beam: PlacedBeam,
    sad_cm: float,
    options: RunOptions,
    *,
    voxel_cm: float | None = None,
    listener: Listener = Listener(),
) -> ComputedField:
    """All scans of a field from one run.

    Parameters
    ----------
    field : Field
    beam : PlacedBeam
        The field's particles, placed for its SSD (`validation.commission.source`).
    sad_cm : float
    options : RunOptions
        The uncertainty of its stop rule is the relative transport sigma of the curves
        (`CurveBatches.relative_sigma`). The first round, which determines the sigmas, is completed whatever
        the maximum time.
    voxel_cm : float, optional
        Side of the voxels; chosen by the field's width if not given.
    listener : Listener

    Raises
    ------
    InputError
        If no dose arises.
    KeyboardInterrupt
        If the run was interrupted.
    """
    side = voxel_cm or voxel_side(field.jaws)
    scans = list(field.scans)
    if field.output_factors:
        scans.append(axis_scan(field))
    phantom = tank_for(scans, field.jaws, field.ssd_cm, sad_cm, side)
    positions = [fine_positions(scan) for scan in scans]
    weights = [
        sampling(phantom.grid, scan, at, field.jaws, sad_cm, _symmetric(field, beam))
        for scan, at in zip(scans, positions, strict=True)
    ]
    batches = CurveBatches(weights, group_count([beam]))
    uncertainty, max_time, run_time = options.stop.uncertainty, options.stop.max_time, 0.0

    def on_batch(dose: np.ndarray) -> bool:
        batches.add(dose)
        late = max_time is not None and run_time >= max_time
        return batches.complete and (late or batches.relative_sigma() <= uncertainty)

    def report(progress: Progress) -> None:
        nonlocal run_time
        run_time = progress.elapsed
        progress.uncertainty = batches.relative_sigma() if batches.complete else None
        if progress.uncertainty is not None:
            progress.share_done = min(1.0, (uncertainty / progress.uncertainty) ** 2)
        listener.progress(progress)

    run = simulate(
        phantom,
        [beam],
        replace(options, stop=StopRule(uncertainty=None)),
        on_batch=on_batch,
        listener=replace(listener, progress=report),
    )
    if run.report.interrupted:
        raise KeyboardInterrupt
    curves = batches.curves(scans, positions, count_variance([beam]))
    for curve in curves:
        if not curve.dose.max() > 0.0:
            raise InputError(field.label, f"no dose on {curve.scan.label}", "check its SSD, field and axes")
    axis = curves.pop() if field.output_factors else None
    return ComputedField(field, tuple(curves), axis, side, run.report)


def _symmetric(field: Field, beam: PlacedBeam) -> tuple[bool, bool]:
    """Axes x, y about which source and field are symmetric.

    Tongues and tilted leaf sides are not; across the leaves they change what leaks outside the field, by less
    than 0.1 % of the dose on the axis.
    """
    x1, x2, y1, y2 = field.jaws
    x, y = (True, True) if beam.rotate else beam.mirror
    return x and abs(x1 + x2) < 1e-6, y and abs(y1 + y2) < 1e-6


def axis_scan(field: Field) -> Scan:
    """A depth dose on the axis as deep as output factors of a field need it; its values mean nothing."""
    factor = max(field.output_factors, key=lambda factor: factor.depth_cm)
    depths = np.arange(0.0, factor.depth_cm + FIT_HALF_WIDTH + 0.1, 0.2)
    return make_scan(
        points=np.column_stack([0.0 * depths, 0.0 * depths, depths, np.ones_like(depths)]),
        kind=PDD,
        file=factor.file,
        line=factor.line,
        field_cm=field.jaws,
        unit="",
        ssd_cm=field.ssd_cm,
        nominal_mv=factor.nominal_mv,
        fluence_mode=factor.fluence_mode,
        detector="",
        detector_radius_cm=None,
    )
