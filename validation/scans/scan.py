"""A scan: dose along a line in a water tank, whatever file it came from.

**Coordinates**, in cm: x crossline, y inline and z the depth below the surface, with x and y the X_b and Y_b
of the IEC 61217 beam limiting device system at collimator and gantry 0. So +x is to the right of who faces
the gantry, +y points to the gantry (the "gun"), and the axis of the beam is x = y = 0. Fields are stated in
the isocentre plane, as x1, x2, y1, y2 of the jaws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.views import Artists, Axes

PDD, CROSSLINE, INLINE, DIAGONAL = "PDD", "crossline", "inline", "diagonal"
FEWEST = 5  # points of a scan
ON_LINE = 0.05  # a coordinate that stays the same may wander by this, and a point lie beside its line [cm]
LARGEST = 100.0  # no tank is larger; catches millimetres taken for centimetres [cm]
FLUENCE_MODES = ("STANDARD", "FFF")


@dataclass(frozen=True, eq=False)
class Scan:
    """A measured scan; made by `make_scan`, which checks it.

    Parameters
    ----------
    kind : {'PDD', 'crossline', 'inline', 'diagonal'}
    x, y, z : (n,) float64
        Where it was measured [cm]; `positions` ascend.
    values : (n,) float64
        What the detector read there, above 0 somewhere.
    unit : str
        Of the values, as the file has it; often arbitrary.
    field_cm : (float, float, float, float)
        x1, x2, y1, y2 of the jaws in the isocentre plane.
    ssd_cm : float
    nominal_mv : float or None
        Nominal energy; None where the file does not state it.
    fluence_mode : {'STANDARD', 'FFF'} or None
        Flattened or not; None where the file does not state it.
    detector : str
    detector_radius_cm : float or None
        Radius of its sensitive volume; None where unknown.
    file : Path
    line : int
        Where in the file the scan begins, counted from 1.
    notes : tuple of str
        What else the file says of the measurement, such as corrections that were made.
    sad_cm : float or None
        Distance of the isocentre plane, in which the field is stated, from the source; None where the file
        does not state it.
    """

    kind: str
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    values: np.ndarray
    unit: str
    field_cm: tuple[float, float, float, float]
    ssd_cm: float
    nominal_mv: float | None
    fluence_mode: str | None
    detector: str
    detector_radius_cm: float | None
    file: Path
    line: int
    notes: tuple[str, ...] = ()
    sad_cm: float | None = None

    @property
    def positions(self) -> np.ndarray:
        """Coordinate along the scan, (n,) [cm]: depth, or signed distance from the beam's axis."""
        return along(self.kind, self.x, self.y, self.z)

    @property
    def depth_cm(self) -> float | None:
        """Depth of a profile [cm]; None for a depth dose."""
        return None if self.kind == PDD else float(self.z.mean())

    @property
    def centred(self) -> bool:
        """Whether the scan runs along, or through, the axis of the beam."""
        if self.kind == PDD:
            return bool(np.hypot(self.x.mean(), self.y.mean()) <= ON_LINE)
        aside = {CROSSLINE: self.y, INLINE: self.x}.get(self.kind, np.zeros(1))
        return bool(abs(aside.mean()) <= ON_LINE and self.positions[0] < 0.0 < self.positions[-1])

    @property
    def label(self) -> str:
        """As a physicist calls it: "PDD 10 x 10 cm", "crossline 10 x 10 cm, depth 5 cm"."""
        depth = "" if self.kind == PDD else f", depth {self.depth_cm:.4g} cm"
        return f"{self.kind} {field_text(self.field_cm)}{depth}"

    def plot(self, axes: Axes, **look: Any) -> Artists:
        """Draw the reading along the scan, in percent of its maximum.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        **look
            Options of `Axes.plot`.

        Returns
        -------
        tuple of artists
            The line.
        """
        percent = 100.0 * self.values / self.values.max()
        lines = axes.plot(self.positions, percent, **{"label": self.label} | look)
        place = "depth [cm]" if self.kind == PDD else "distance from the axis [cm]"
        axes.set(xlabel=place, ylabel="reading [% of the maximum]")
        return tuple(lines)

    def _repr_html_(self) -> str:
        facts = [
            ("points", self.values.size),
            ("from, to", f"{self.positions[0]:.2f} to {self.positions[-1]:.2f} cm"),
            ("SSD", f"{self.ssd_cm:g} cm"),
            ("energy", "not stated" if self.nominal_mv is None else f"{self.nominal_mv:g} MV"),
            ("fluence", self.fluence_mode or "not stated"),
            ("detector", self.detector or "not stated"),
            ("file", f"{self.file.name}, line {self.line}"),
            *(("note", note) for note in self.notes),
        ]
        return Listing.facts(self.label, facts)._repr_html_()

    @property
    def source(self) -> str:
        """File and line, for messages."""
        return f"{self.file}, line {self.line}"


def along(kind: str, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Coordinate along a scan of points x, y, z (n,) [cm]; a diagonal's has the sign of x."""
    if kind == DIAGONAL:
        return np.where(x < 0.0, -1.0, 1.0) * np.hypot(x, y)
    return {PDD: z, CROSSLINE: x, INLINE: y}[kind]


def field_text(field: Sequence[float]) -> str:
    """A field as "10 x 10 cm", with its jaws where it is not centred."""
    x1, x2, y1, y2 = field
    size = f"{x2 - x1:.4g} x {y2 - y1:.4g} cm"
    if abs(x1 + x2) < 1e-6 and abs(y1 + y2) < 1e-6:
        return size
    return f"{size} (X {x1:g} to {x2:g}, Y {y1:g} to {y2:g})"


def centred_field(width_x: float, width_y: float) -> tuple[float, float, float, float]:
    """Jaws of a field about the axis, of these full widths [cm]."""
    return -0.5 * width_x, 0.5 * width_x, -0.5 * width_y, 0.5 * width_y


def kind_of(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> str | None:
    """What kind of scan points (n,) [cm] are; None where they are not on one line of these kinds."""
    still = [np.ptp(c) <= 2.0 * ON_LINE for c in (x, y, z)]
    if still == [True, True, False]:
        return PDD
    if still == [False, True, True]:
        return CROSSLINE
    if still == [True, False, True]:
        return INLINE
    if still == [False, False, True]:
        direction = np.array([np.ptp(x), np.ptp(y) * np.sign(np.sum((x - x.mean()) * (y - y.mean())))])
        direction /= np.hypot(*direction)
        if np.abs(x * direction[1] - y * direction[0]).max() <= ON_LINE:
            return DIAGONAL
    return None


def make_scan(
    *, points: np.ndarray, kind: str | None, file: Path, line: int, field_cm: Sequence[float], **facts
) -> Scan:
    """A checked scan, its points in ascending order.

    Parameters
    ----------
    points : (n, 4) array
        x, y, z [cm] and value.
    kind : str or None
        As the file states it; None where it leaves that to the points.
    file, line, field_cm, facts
        See `Scan`.

    Raises
    ------
    InputError
        If it cannot be a scan of a water tank.
    """
    place = f"{file}, line {line}"
    points = np.asarray(points, float)
    if len(points) < FEWEST:
        raise InputError(place, f"this scan has {len(points)} points", f"{FEWEST} are the fewest")
    if not np.isfinite(points).all():
        raise InputError(place, "this scan holds values that are not finite")
    x, y, z, values = points.T
    if np.abs(points[:, :3]).max() > LARGEST:
        raise InputError(
            place, f"this scan reaches beyond {LARGEST:g} cm", "check the units of its positions"
        )
    found = kind_of(x, y, z)
    if found is None:
        raise InputError(
            place,
            "the points of this scan lie on no line that is understood",
            "depth, x or y alone may vary, or x and y together on a line through the axis",
        )
    if kind is not None and found != kind:
        raise InputError(place, f"stated is {kind}, but the points are those of a scan {found}")
    order = np.argsort(along(found, x, y, z), kind="stable")
    x, y, z, values = (column[order] for column in (x, y, z, values))
    steps = np.diff(along(found, x, y, z))
    if steps.min() < 1e-6:
        at = along(found, x, y, z)[int(steps.argmin())]
        raise InputError(
            place, f"this scan has two values at {at:g} cm", "export each curve once, not its repeats"
        )
    if not values.max() > 0.0:
        raise InputError(place, "this scan has no value above 0")
    if values.min() < -0.02 * values.max():
        raise InputError(place, f"this scan has values well below 0 (least {values.min():g})")
    if found != PDD and z.min() < 0.0:
        raise InputError(place, f"the depth of this profile is negative ({z.mean():g} cm)", "depth is +z")
    if found == PDD and z.max() <= 0.0:
        raise InputError(place, "all depths of this scan are negative", "depth is +z, below the surface")
    x1, x2, y1, y2 = field = tuple(float(edge) for edge in field_cm)
    if not (x1 < x2 and y1 < y2 and max(map(abs, field)) <= 0.5 * LARGEST):
        raise InputError(place, f"field {field} is none", "x1 < x2 and y1 < y2, in the isocentre plane")
    sad = facts.get("sad_cm")
    for what, value in (
        ("SSD", facts["ssd_cm"]),
        ("nominal energy", facts["nominal_mv"]),
        ("isocentre", sad),
    ):
        if value is not None and not 0.0 < value < 1000.0:
            raise InputError(place, f"{what} {value:g} is impossible")
    for column in (x, y, z, values):
        column.flags.writeable = False
    return Scan(kind=found, x=x, y=y, z=z, values=values, file=file, line=line, field_cm=field, **facts)
