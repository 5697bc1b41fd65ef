"""A plane of a dose, in millimetres of patient coordinates, and how it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline

from phantoms.errors import InputError
from phantoms.grid import Grid

BROKEN = 5.0  # times the largest dose of a plane without single voxels: this cannot be
NAMES = ("z", "y", "x")  # axes of a grid
# how a plane is looked at, as in reports: normal, axis to the right, axis along the picture's height, and
# whether the latter ascends upwards
VIEWS = {"axial": (0, 2, 1, False), "coronal": (1, 2, 0, True), "sagittal": (2, 1, 0, True)}


@dataclass(frozen=True, eq=False)
class Plane:
    """Dose on a plane.

    Parameters
    ----------
    dose : (nv, nu) float64
        [Gy]
    u_mm, v_mm : (nu,), (nv,) float64
        Along the picture's width and height, ascending, in patient coordinates.
    view : str
        Key of `VIEWS`.
    at_mm : float
        Where it cuts the third axis.
    broken : (nv, nu) bool, optional
        Voxels whose dose cannot be; what stands there is only to fill the place.
    """

    dose: np.ndarray = field(repr=False)
    u_mm: np.ndarray = field(repr=False)
    v_mm: np.ndarray = field(repr=False)
    view: str
    at_mm: float
    broken: np.ndarray | None = field(default=None, repr=False)

    @cached_property
    def _spline(self) -> RectBivariateSpline:
        order = (min(3, self.v_mm.size - 1), min(3, self.u_mm.size - 1))
        return RectBivariateSpline(self.v_mm, self.u_mm, self.dose, kx=order[0], ky=order[1])

    @property
    def names(self) -> tuple[str, str]:
        """Names of u and v: x, y or z."""
        _, across, up, _ = VIEWS[self.view]
        return NAMES[across], NAMES[up]

    @property
    def upwards(self) -> bool:
        """Whether v ascends upwards on paper; in an axial plane y does not."""
        return VIEWS[self.view][3]

    @property
    def place(self) -> str:
        """Such as "coronal, y = -12.5 mm"."""
        return f"{self.view}, {NAMES[VIEWS[self.view][0]]} = {self.at_mm:.2f} mm"

    def covers(self, u_mm: np.ndarray, v_mm: np.ndarray) -> np.ndarray:
        """Where the dose is known: up to the outermost voxel centres, and not beside a broken voxel."""
        inside = (
            (u_mm >= self.u_mm[0] - 1e-6)
            & (u_mm <= self.u_mm[-1] + 1e-6)
            & (v_mm >= self.v_mm[0] - 1e-6)
            & (v_mm <= self.v_mm[-1] + 1e-6)
        )
        if self.broken is None:
            return inside
        column, row = (
            np.clip(np.searchsorted(axis, at) - 1, 0, axis.size - 2)
            for axis, at in ((self.u_mm, u_mm), (self.v_mm, v_mm))
        )
        corners = (self.broken[row + i, column + j] for i in (0, 1) for j in (0, 1))
        return inside & ~np.logical_or.reduce(list(corners))

    def sample(self, u_mm: np.ndarray, v_mm: np.ndarray) -> np.ndarray:
        """Dose at points by a cubic spline [Gy], not below 0; NaN where it is not known."""
        return np.where(self.covers(u_mm, v_mm), np.maximum(self._spline.ev(v_mm, u_mm), 0.0), np.nan)

    def gradient(self, u_mm: np.ndarray, v_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its derivatives by u and v [Gy/mm]; anything where it is not known."""
        return self._spline.ev(v_mm, u_mm, dy=1), self._spline.ev(v_mm, u_mm, dx=1)


def cut_plane(
    dose: np.ndarray,
    grid: Grid,
    name: str,
    view: str | None = None,
    at_mm: float | None = None,
    factor: float = 1.0,
) -> Plane:
    """A plane of a dose, linear between the voxel planes on both sides of it.

    Parameters
    ----------
    dose : (nz, ny, nx) array
        [Gy]
    grid : Grid
    name : str
        Of its file, for messages.
    view : str, optional
        Which plane; not needed where the dose is a plane itself.
    at_mm : float, optional
        Where it cuts the third axis, in patient coordinates; not needed if the dose has one voxel there.
    factor : float
        By which the dose is multiplied, such as one over the number of fractions.

    Raises
    ------
    InputError
        If the plane is not stated, lies outside the dose, or is not a plane of finite dose.
    """
    thin = [key for key, (normal, *_) in VIEWS.items() if grid.shape[normal] == 1]
    if view is None:
        if len(thin) != 1:
            raise InputError(
                name, "is the dose of a volume", "name the film's plane, such as --cut coronal=-12.5mm"
            )
        view = thin[0]
    elif thin and view not in thin:
        raise InputError(name, f"is a {thin[0]} plane, not a volume", "leave --cut out")
    normal, across, up, _ = VIEWS[view]
    centres = [10.0 * grid.centres(axis) for axis in range(3)]
    if at_mm is None and view not in thin:
        raise InputError(name, f"is the dose of a volume: where does the {view} plane cut it?")
    # a dose of one slice is the plane that was exported, wherever its thickness ends
    place = float(centres[normal][0]) if view in thin else at_mm
    first, last = centres[normal][0], centres[normal][-1]
    if view in thin and at_mm is not None and abs(at_mm - place) > 0.5:
        raise InputError(name, f"its plane lies at {NAMES[normal]} = {place:.2f} mm, not {at_mm:.2f} mm")
    if not first - 1e-6 <= place <= last + 1e-6:
        raise InputError(
            name,
            f"has no dose at {NAMES[normal]} = {place:g} mm: it reaches from {first:.1f} to {last:.1f} mm",
        )
    index = np.interp(place, centres[normal], np.arange(centres[normal].size))
    low = min(int(index), max(grid.shape[normal] - 2, 0))
    part = index - low
    values = np.take(dose, low, axis=normal).astype(float)
    if part > 0.0:
        values = (1.0 - part) * values + part * np.take(dose, low + 1, axis=normal)
    if min(values.shape) < 2:
        raise InputError(name, f"its {view} plane has {values.shape[1]} x {values.shape[0]} voxels: no plane")
    if not np.isfinite(values).all():
        raise InputError(
            name, f"{np.count_nonzero(~np.isfinite(values))} voxels of the {view} plane have no finite dose"
        )
    # a stored number that overflowed, as some exports hold, stands out by far from all around it
    around = ndimage.median_filter(values, size=5)
    broken = values > BROKEN * max(float(around.max()), 1e-300)
    values = np.where(broken, around, values)
    return Plane(factor * values, centres[across], centres[up], view, place, broken if broken.any() else None)
