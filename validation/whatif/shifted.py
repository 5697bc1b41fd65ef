"""The dose of tissue that lies elsewhere: the dose stays in the room, the patient moves through it.

What does not stay is the path of the beams through the patient. Its change is followed by the radiological
depth of every beam, and says how good the picture of a dose fixed in the room is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

from mc.dose import Dose
from mc.plan.plan import Plan
from phantoms.grid import Grid
from phantoms.phantom import Phantom
from phantoms.solids import cut
from phantoms.structures import ROI
from phantoms.subvoxels import SubVoxels
from validation.diagnosis.directions import Direction, directions
from validation.diagnosis.rays import ray_integrals
from validation.diagnosis.voxels import primaries
from validation.metrics.dvh import Dvh
from validation.metrics.noise import Noise
from validation.whatif.motion import AXES, SetupError

ABOUT = 3  # voxels about a structure, between which doses are interpolated
CELLS = 20_000  # of a structure: its DVH is read a thousand times
MARGIN_VOXELS = 8  # about what is interpolated, so that the spline does not see the cut


@dataclass(frozen=True, eq=False)
class Tissue:
    """A structure, and the voxels of the dose grid in and about it.

    Parameters
    ----------
    name : str
    grid : Grid
        Of those voxels, a block of the dose grid.
    cells : SubVoxels
        The structure on `grid`.
    """

    name: str
    grid: Grid
    cells: SubVoxels

    @cached_property
    def points(self) -> np.ndarray:
        """Centres of the voxels, LPS (x, y, z) [cm], (n, 3)."""
        z, y, x = np.meshgrid(*(self.grid.centres(axis) for axis in range(3)), indexing="ij")
        return np.stack([x, y, z], axis=-1).reshape(-1, 3)

    def dvh(self, dose: np.ndarray, noise: Noise | None = None) -> Dvh:
        """The DVH of doses of the voxels, (n,) or of the shape of the grid [Gy], with their noise."""
        return Dvh(self.cells, dose.reshape(self.grid.shape), noise)


def tissue(roi: ROI, grid: Grid, name: str) -> Tissue | None:
    """A structure on the voxels of `grid`; None if it lies outside."""
    slabs = roi.slabs()
    corners = np.concatenate([polygon for slab in slabs for polygon in slab.polygons])
    low = grid.index(np.array([slabs[0].lower, *corners.min(axis=0)[::-1]]))
    high = grid.index(np.array([slabs[-1].upper, *corners.max(axis=0)[::-1]]))
    first = np.maximum(np.floor(low).astype(int) - ABOUT, 0)
    last = np.minimum(np.ceil(high).astype(int) + 1 + ABOUT, grid.shape)
    if not (last > first).all():
        return None
    spacing = np.array(grid.spacing)
    block = Grid(tuple(last - first), grid.spacing, tuple(np.array(grid.origin) + first * spacing))
    cells = cut(roi, block).coarser(CELLS)
    return Tissue(name, block, cells) if cells.volume > 0 else None


class DoseInRoom:
    """A dose that stays in the room, read at moved tissue by cubic splines.

    Parameters
    ----------
    dose : Dose
    plan : Plan
    tissues : sequence of Tissue
        Where it will be read.
    reach : float
        How far they will move, at most [cm].
    """

    def __init__(self, dose: Dose, plan: Plan, tissues: Sequence[Tissue], reach: float) -> None:
        self.plan, self.grid = plan, dose.grid
        self.isocentre = np.array(plan.beams[0].isocentre)
        places = dose.grid.index(np.concatenate([t.points for t in tissues])[:, ::-1])
        margin = MARGIN_VOXELS + reach / np.array(dose.grid.spacing)
        low = np.maximum(np.floor(places.min(axis=0) - margin).astype(int), 0)
        high = np.minimum(np.ceil(places.max(axis=0) + margin).astype(int) + 1, dose.grid.shape)
        part = dose.mean[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        self._first, self._coefficients = low, spline_filter(part, order=3)

    def at(self, found: Tissue, error: SetupError) -> np.ndarray:
        """Dose of moved tissue, (n,) [Gy]."""
        places = error.moved(found.points, self.isocentre, self.plan.patient_position)
        index = (self.grid.index(places[:, ::-1]) - self._first).T
        return map_coordinates(self._coefficients, index, order=3, mode="nearest", prefilter=False)


class DepthChange:
    """Change of dose by the radiological depth of moved tissue, from its change at the ends of each axis.

    Parameters
    ----------
    plan : Plan
    phantom : Phantom
    tissues : sequence of Tissue
    ends : dict of str to float
        Largest error of each axis [mm, degrees].
    attenuation : float
        By which the dose falls with depth [cm2/g].
    """

    def __init__(
        self,
        plan: Plan,
        phantom: Phantom,
        tissues: Sequence[Tissue],
        ends: dict[str, float],
        attenuation: float,
    ) -> None:
        self._plan, self._phantom, self._ends = plan, phantom, ends
        self._stays = directions(plan)
        self._isocentre = np.array(plan.beams[0].isocentre)
        self._density = phantom.density.astype(float)
        self._attenuation = attenuation
        # log of the change along every axis: linear and square term in error / end
        self._terms = {t.name: np.stack([self._along(t, axis) for axis in AXES]) for t in tissues}

    def factor(self, found: Tissue, error: SetupError) -> np.ndarray:
        """Dose of moved tissue over that of a dose fixed in the room, (n,)."""
        part = np.array([value / self._ends[axis] for axis, value in zip(AXES, error.values, strict=True)])
        terms = self._terms[found.name]
        return np.exp(part @ terms[:, 0] + part**2 @ terms[:, 1])

    def _along(self, found: Tissue, axis: str) -> np.ndarray:
        plus, minus = (self._change(found, SetupError.along(axis, s * self._ends[axis])) for s in (1, -1))
        return np.stack([0.5 * (plus - minus), 0.5 * (plus + minus)])

    def _change(self, found: Tissue, error: SetupError) -> np.ndarray:
        """Log of the factor for one error, from the depths along every direction."""
        places = error.moved(found.points, self._isocentre, self._plan.patient_position)
        rotation, _ = error.motion(self._plan.patient_position)
        before, after = [], []
        for stay in self._stays:
            before.append(self._depth(stay, places))
            source = stay.source[None]
            (source,) = error.moved(source, self._isocentre, self._plan.patient_position, back=True)
            seen = replace(stay, source=source, rotation=rotation.T @ stay.rotation)
            after.append(self._depth(seen, found.points))
        weight = primaries(self._stays, places, np.array(before), self._attenuation)
        change = np.exp(-self._attenuation * (np.array(after) - before))
        return np.log(np.sum(weight * change, axis=0) / np.sum(weight, axis=0))

    def _depth(self, stay: Direction, points: np.ndarray) -> np.ndarray:
        return ray_integrals(stay, self._phantom.grid, [self._density], points)[0]
