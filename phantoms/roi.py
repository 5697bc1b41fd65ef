"""A structure: its contours on planes, and what they enclose.

A contour stands for a slab: half the contour spacing on either side of its plane. Between planes of
unequal distance the border lies midway; beyond the first and the last plane the slab ends half the last
spacing outside, as in the volumes that planning systems state. `phantoms.solids` puts a smoother shape
between the same planes, for dose-volume histograms. Planes further apart than one and a half times the usual
spacing leave a gap, which stays empty and is reported, unless the slices themselves are that far apart
(`phantoms.planes`). On one plane all contours of a structure combine by the even-odd rule, which makes holes
of inner contours and of keyholes alike (DICOM PS3.3 C.8.8.6); copies and contours that cross each other are
mended first (`phantoms.outlines`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from phantoms.errors import InputError
from phantoms.outlines import find_loops, signed_area, untangle
from phantoms.planes import (
    SAME_PLANE_CM,
    by_plane,
    distances_outside,
    find_gaps,
    heights,
    on_planes,
    rounding,
    usual_spacing,
)
from phantoms.plausible import LENGTH, WIDTH
from phantoms.polygons import Slab
from phantoms.solids import Run

NOT_AXIAL = "has contours that do not lie on a plane of constant z"
CHANGE = 0.01  # of a volume by how contours are put on planes: more is said
UNEVEN = 2.0  # factor between a volume and that of its contours with the usual spacing: more is said


@dataclass(frozen=True, eq=False)
class ROI:
    """A region of interest.

    Parameters
    ----------
    number : int
    name : str
    type : str
        RT ROI Interpreted Type (EXTERNAL, PTV, ORGAN, SUPPORT, ...), empty if not stated.
    colour : (int, int, int)
        RGB, 0 to 255.
    contours : tuple of (n, 3) float64
        Closed planar contours, LPS (x, y, z) [cm].
    contour_spacing : float
        Usual distance of contour planes [cm].
    gaps : tuple of int
        Planes, ascending in z, after which the structure is interrupted.
    free : (float, float)
        Distance from its first and last plane to the next ones outside on which another structure has
        contours [cm]; None where there are none.
    problem : str
        Why the contours cannot be filled; empty if they can.
    physical : dict of str to float
        ROI Physical Properties the planning system assigned (REL_ELEC_DENSITY, ...).
    warnings : tuple of str
    """

    number: int
    name: str
    type: str
    colour: tuple[int, int, int]
    contours: tuple[np.ndarray, ...]
    contour_spacing: float
    gaps: tuple[int, ...] = ()
    free: tuple[float | None, float | None] = (None, None)
    problem: str = ""
    physical: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the structure has no closed contours."""
        return not self.contours

    def runs(self) -> list[Run]:
        """Return the contours as runs of planes without a gap, ascending in z.

        Raises
        ------
        InputError
            If the structure is empty or its contours do not lie on planes of constant z.
        """
        if self.is_empty:
            raise InputError(f"structure {self.name}", "has no contours", "contour it or leave it out")
        if self.problem:
            raise InputError(
                f"structure {self.name}", self.problem, "contour it on the axial slices of the CT"
            )
        planes = by_plane(self.contours)
        ends = [gap + 1 for gap in self.gaps] + [len(planes)]
        runs = []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            z = np.array([z for z, _ in planes[start:end]])
            steps = np.diff(z) if end - start > 1 else np.array([self.contour_spacing])
            runs.append(
                Run(
                    z,
                    [[contour[:, :2] for contour in contours] for _, contours in planes[start:end]],
                    (0.5 * float(steps[0]), 0.5 * float(steps[-1])),
                    (self.free[0] if start == 0 else None, self.free[1] if end == len(planes) else None),
                )
            )
        return runs

    def slabs(self) -> list[Slab]:
        """Return the structure as slabs of polygons, ascending in z; raises as `runs` does."""
        slabs = []
        for run in self.runs():
            borders = 0.5 * (run.z[1:] + run.z[:-1])
            lower = [run.z[0] - run.reach[0], *borders]
            upper = [*borders, run.z[-1] + run.reach[1]]
            slabs += [Slab(*slab) for slab in zip(lower, upper, run.polygons, strict=True)]
        return slabs


def make_roi(
    name: str,
    contours: Sequence[np.ndarray],
    *,
    number: int = 0,
    kind: str = "",
    colour: tuple[int, int, int] = (255, 255, 0),
    usual: float = 0.0,
    others: Sequence[np.ndarray] = (),
    physical: dict[str, float] | None = None,
    exclusive: bool = False,
) -> ROI:
    """Make a structure of its contours: put on planes, copies dropped, crossings mended, gaps found.

    Parameters
    ----------
    name : str
    contours : sequence of (n, 3) float64
        Closed contours, each on a plane of constant z, LPS (x, y, z) [cm].
    number, kind, colour, physical
        See `ROI`.
    usual : float
        Usual distance of contour planes over all structures [cm]; that of this one if not given.
    others : sequence of (n,) arrays
        Planes of the other structures [cm], by which a gap is distinguished from a thick slice.
    exclusive : bool
        Whether what two contours share lies outside, even where they cross (CLOSEDPLANAR_XOR).
    """
    drawn = heights(contours)
    usual = usual or usual_spacing([drawn])
    problem = _implausible(contours)
    if any(np.ptp(c[:, 2]) > rounding(usual) for c in contours):
        problem = NOT_AXIAL
    warnings: list[str] = []
    if not problem:
        on = on_planes(drawn, usual)
        warnings += _plane_warnings(name, drawn, on, np.array([abs(signed_area(c[:, :2])) for c in contours]))
        contours, problem = _mended(name, contours, on, exclusive, warnings)
    planes = np.unique(heights(contours))
    steps = np.diff(planes)
    spacing = float(np.median(steps)) if len(steps) else usual
    if len(planes) and not problem and not spacing > 0:
        problem = "has a single contour, so its thickness is unknown"
    gaps = find_gaps(planes, spacing, others)
    if gaps:
        places = "; ".join(f"{10 * planes[k]:.1f} to {10 * planes[k + 1]:.1f} mm" for k in gaps[:3])
        warnings.append(f"structure {name} has no contours in {len(gaps)} gap(s), z = {places}: left empty")
    roi = ROI(
        number=number,
        name=name,
        type=kind,
        colour=colour,
        contours=tuple(contours),
        contour_spacing=spacing,
        gaps=gaps,
        free=distances_outside(planes, spacing, np.concatenate([*others, []])),
        problem=problem,
        physical=physical or {},
    )
    if len(planes) and not problem:
        warnings += _spacing_warnings(roi)
    return replace(roi, warnings=tuple(warnings))


def _implausible(contours: Sequence[np.ndarray]) -> str:
    """Why contours [cm] cannot be of a structure in a treatment room; empty if they can."""
    if not len(contours):
        return ""
    sizes = np.ptp(np.concatenate(contours), axis=0)
    for allowed, size, axis in zip((WIDTH, WIDTH, LENGTH), sizes, "xyz", strict=True):
        if allowed.fault(float(size)) is not None:
            return f"reaches over {size:.4g} cm along {axis}, more than {allowed.high:g} {allowed.unit}"
    return ""


def _mended(
    name: str, contours: Sequence[np.ndarray], planes: np.ndarray, exclusive: bool, warnings: list[str]
) -> tuple[list[np.ndarray], str]:
    """Contours on their planes, without copies and crossings; and why they cannot be filled, if so."""
    flat = [np.column_stack([c[:, :2], np.full(len(c), z)]) for c, z in zip(contours, planes, strict=True)]
    if not flat:
        return [], ""
    loops = find_loops([contour[:, :2] for contour in flat])
    if loops.against.any():
        z = flat[int(loops.against.argmax())][0, 2]
        return (
            flat,
            f"has a contour that crosses itself, at z = {10 * z:.1f} mm, so what is inside is unknown",
        )
    if loops.twice.any():
        warnings.append(
            f"structure {name}: {int(loops.twice.sum())} contour(s) cross themselves, z = "
            f"{10 * flat[int(loops.twice.argmax())][0, 2]:.1f} mm; loops are taken as inside"
        )
    mended, copies, joined = [], 0, []
    for z, group in by_plane(flat):
        found = untangle([contour[:, :2] for contour in group], joins=not exclusive)
        mended += [np.column_stack([p, np.full(len(p), z)]) for p in found.polygons]
        copies += found.copies
        joined += [z] * found.joined
    if copies:
        warnings.append(f"structure {name}: {copies} contour(s) drawn twice were taken once")
    if joined:
        warnings.append(
            f"structure {name}: {len(joined)} contour(s) cross another one, z = {10 * joined[0]:.1f} mm; "
            "what they share is taken as inside"
        )
    return mended, ""


def _plane_warnings(name: str, drawn: np.ndarray, planes: np.ndarray, areas: np.ndarray) -> list[str]:
    """Say where it matters that contours at heights `drawn` were put on the same `planes`."""
    apart = max((float(np.ptp(drawn[planes == z])) for z in np.unique(planes)), default=0.0)
    volumes = [_spanned(z, areas) for z in (drawn, planes)]
    if apart <= SAME_PLANE_CM or abs(volumes[0] - volumes[1]) <= CHANGE * volumes[1]:
        return []
    return [f"structure {name}: contours up to {10 * apart:.2f} mm apart in z were put on one plane"]


def _spanned(z: np.ndarray, areas: np.ndarray) -> float:
    """Volume of contours of these areas at heights `z` (n,), borders midway between them [cm3]."""
    planes, index = np.unique(z, return_inverse=True)
    if len(planes) < 2:
        return 0.0
    steps = np.diff(planes)
    thickness = 0.5 * (np.append(steps, steps[-1]) + np.insert(steps, 0, steps[0]))
    return float(thickness @ np.bincount(index, areas))


def _spacing_warnings(roi: ROI) -> list[str]:
    """Say where planes are so uneven that the volume depends on what is between them."""
    slabs = roi.slabs()
    areas = np.array([sum(abs(signed_area(p)) for p in slab.polygons) for slab in slabs])
    volume = areas @ [slab.upper - slab.lower for slab in slabs]
    usual = usual_spacing([np.unique(heights(roi.contours))]) or roi.contour_spacing
    expected = areas.sum() * usual
    if expected <= UNEVEN * volume and volume <= UNEVEN * expected:
        return []
    return [
        f"structure {roi.name}: contours on uneven planes: {volume:.2f} cm3 with borders midway between "
        f"them, {expected:.2f} cm3 with planes of {10 * usual:.2f} mm"
    ]
