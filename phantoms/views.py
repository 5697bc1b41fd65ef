"""Planes of a volume: how they are cut and drawn, in millimetres of patient coordinates.

What draws takes matplotlib axes and returns the artists it made; matplotlib itself is not imported, so that
whoever only computes need not load it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from phantoms.errors import InputError
from phantoms.grid import Grid

Artists = tuple[Any, ...]  # of matplotlib


class Axes(Protocol):
    """What is used here of `matplotlib.axes.Axes`."""

    def axhline(self, *args: Any, **options: Any) -> Any: ...
    def axvline(self, *args: Any, **options: Any) -> Any: ...
    def contour(self, *args: Any, **options: Any) -> Any: ...
    def errorbar(self, *args: Any, **options: Any) -> Any: ...
    def fill_between(self, *args: Any, **options: Any) -> Any: ...
    def imshow(self, *args: Any, **options: Any) -> Any: ...
    def legend(self, *args: Any, **options: Any) -> Any: ...
    def plot(self, *args: Any, **options: Any) -> Any: ...
    def set(self, *args: Any, **options: Any) -> Any: ...
    def stairs(self, *args: Any, **options: Any) -> Any: ...


class Planes(Protocol):
    """A volume that is not kept as an array."""

    def plane(self, index: int, axis: int) -> np.ndarray:
        """The values of one plane of voxels normal to `axis`."""


@dataclass(frozen=True)
class View:
    """How a plane normal to one axis is drawn.

    Parameters
    ----------
    name : str
    axis : int
        Normal: 0 z, 1 y, 2 x.
    across, up : int
        Axes drawn to the right and vertically.
    upwards : bool
        Whether the vertical axis ascends on paper; posterior is drawn below.
    sides : (str, str, str, str)
        Patient sides at the left, right, bottom and top edge.
    """

    name: str
    axis: int
    across: int
    up: int
    upwards: bool
    sides: tuple[str, str, str, str]


VIEWS = (
    View("axial", 0, 2, 1, False, ("R", "L", "P", "A")),
    View("coronal", 1, 2, 0, True, ("R", "L", "F", "H")),
    View("sagittal", 2, 1, 0, True, ("A", "P", "F", "H")),
)
AXIS_NAMES = ("z", "y", "x")


def cut(values: np.ndarray | Planes, grid: Grid, axis: int, position: float) -> np.ndarray:
    """Plane of `values` normal to `axis` at `position` [cm], linear between the two nearest voxel planes.

    NaN where the plane lies outside the grid.
    """
    index = (position - grid.origin[axis]) / grid.spacing[axis]
    last = grid.shape[axis] - 1
    if not -0.5 - 1e-6 <= index <= last + 0.5 + 1e-6:
        return np.full([n for a, n in enumerate(grid.shape) if a != axis], np.nan)
    index = float(np.clip(index, 0, last))
    low = min(int(index), max(last - 1, 0))
    part = index - low
    below = _plane(values, low, axis)
    # a plane on voxel centres is that plane alone: its neighbour may be undefined there
    if part < 1e-6 or last == 0:
        return below
    above = _plane(values, low + 1, axis)
    return above if part > 1 - 1e-6 else (1 - part) * below + part * above


def _plane(values: np.ndarray | Planes, index: int, axis: int) -> np.ndarray:
    """One plane of voxels, float64."""
    plane = np.take(values, index, axis) if isinstance(values, np.ndarray) else values.plane(index, axis)
    return plane.astype(float)


def nearest_cut(values: np.ndarray, grid: Grid, axis: int, position: float) -> np.ndarray:
    """The voxel plane nearest to `position` [cm], for what must not be interpolated, such as gamma."""
    return np.take(values, nearest_plane(grid, axis, position), axis=axis).astype(float)


def nearest_plane(grid: Grid, axis: int, position: float) -> int:
    """Index of the plane of voxels nearest to `position` [cm]."""
    index = int(np.rint((position - grid.origin[axis]) / grid.spacing[axis]))
    return int(np.clip(index, 0, grid.shape[axis] - 1))


def extent_mm(grid: Grid, view: View) -> tuple[float, float, float, float]:
    """Left, right, first and last edge of a plane, for imshow [mm]."""
    horizontal, vertical = (10 * grid.edges(axis)[[0, -1]] for axis in (view.across, view.up))
    return (*horizontal, *vertical)


def centres_mm(grid: Grid, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Voxel centres along both axes of a plane [mm]."""
    return 10 * grid.centres(view.across), 10 * grid.centres(view.up)


def view_of(name: str) -> View:
    """The view of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    for view in VIEWS:
        if view.name == name:
            return view
    raise InputError(f"view {name!r}", "is not known", f"one of {', '.join(view.name for view in VIEWS)}")


def draw_plane(axes: Axes, plane: np.ndarray, grid: Grid, view: View, at_cm: float, **look: Any) -> Any:
    """Draw a plane of voxels with its coordinates; the sides of the patient are as in a report.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    plane : (n, m) array
        Values by `view.up` and `view.across`.
    grid : Grid
        That the plane was taken from.
    view : View
    at_cm : float
        Where the plane lies along its normal.
    **look
        Options of `Axes.imshow`.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    image = axes.imshow(
        plane,
        origin="lower",
        extent=extent_mm(grid, view),
        **{"interpolation": "nearest", "aspect": "equal"} | look,
    )
    low, high = 10 * grid.lower[view.up], 10 * grid.upper[view.up]
    axes.set(
        xlabel=f"{AXIS_NAMES[view.across]} [mm]",
        ylabel=f"{AXIS_NAMES[view.up]} [mm]",
        ylim=(low, high) if view.upwards else (high, low),
        title=f"{view.name}, {AXIS_NAMES[view.axis]} = {10 * at_cm:.1f} mm",
    )
    return image


def plot_volume(
    axes: Axes, values: np.ndarray, grid: Grid, view: str, at_mm: float | None, **look: Any
) -> Artists:
    """Draw one plane of voxels of a volume, by default through its largest value.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : (nz, ny, nx) array
    grid : Grid
    view : {'axial', 'coronal', 'sagittal'}
    at_mm : float, optional
        Where the plane lies along its normal.
    **look
        Options of `Axes.imshow`.

    Returns
    -------
    tuple of artists
        The image.

    Raises
    ------
    InputError
        If there is no such view.
    """
    chosen = view_of(view)
    index = int(np.unravel_index(np.nanargmax(values), values.shape)[chosen.axis])
    if at_mm is not None:
        index = nearest_plane(grid, chosen.axis, 0.1 * at_mm)
    plane = np.take(values, index, axis=chosen.axis)
    return (draw_plane(axes, plane, grid, chosen, grid.centres(chosen.axis)[index], **look),)
