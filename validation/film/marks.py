"""Registration by marks: places on the scan whose place in the plane is known, or one coordinate of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from phantoms.errors import InputError
from validation.film.placement import Placement
from validation.film.scan import Scan

MAX_RESIDUAL_MM = 2.0  # more than this is a mistake
STEPS = 50
DISTINCT = 6.0  # times the scatter around it by which a mark differs from the film


@dataclass(frozen=True)
class Mark:
    """A mark on the film.

    Parameters
    ----------
    pixel : (float, float)
        Column and row in the scan, from 0.
    u_mm, v_mm : float
        Its place in the plane; NaN for a coordinate that is not known, as of a line drawn along a laser.
    """

    pixel: tuple[float, float]
    u_mm: float
    v_mm: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """A placement by marks.

    Parameters
    ----------
    placement : Placement
    residual_mm : (n, 2) float64
        Of every mark, where its coordinates are known, else NaN.
    sigma_mm : (float, float)
    sigma_deg : float
        NaN where the marks only just determine the placement.
    """

    placement: Placement
    residual_mm: np.ndarray
    sigma_mm: tuple[float, float]
    sigma_deg: float


def find_mark(mark: Mark, scan: Scan, radius_mm: float) -> Mark:
    """The mark moved to the centroid of what is darker or brighter than the film around it.

    Raises
    ------
    InputError
        If there is nothing distinct within the radius.
    """
    x, y = scan.point_mm(mark.pixel)
    across, down = scan.centres_mm(1) - x, scan.centres_mm(0) - y
    rows, columns = np.flatnonzero(np.abs(down) <= radius_mm), np.flatnonzero(np.abs(across) <= radius_mm)
    if rows.size < 5 or columns.size < 5:
        raise InputError(
            scan.name,
            f"the mark at {mark.pixel[0]:g}, {mark.pixel[1]:g} lies at its edge, or the radius is too small",
        )
    part = scan.response[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean(axis=2)
    away = np.abs(part - np.median(part))
    scatter = 1.4826 * np.median(away)
    weight = np.where(away > max(DISTINCT * scatter, 0.02), away, 0.0)
    if weight.sum() == 0.0:
        raise InputError(
            scan.name,
            f"nothing distinct within {radius_mm:g} mm of the mark at {mark.pixel[0]:g}, {mark.pixel[1]:g}",
        )
    found_x = x + float((weight.sum(axis=0) * across[columns]).sum() / weight.sum())
    found_y = y + float((weight.sum(axis=1) * down[rows]).sum() / weight.sum())
    pixel = found_x / scan.file_pitch_mm[1] - 0.5, found_y / scan.file_pitch_mm[0] - 0.5
    return replace(mark, pixel=pixel)


def place_by_marks(
    marks: Sequence[Mark], scan: Scan, corner_mm: tuple[float, float], start: Placement
) -> Fitted:
    """Least squares of the marks' known coordinates.

    Parameters
    ----------
    marks : sequence of Mark
    scan : Scan
    corner_mm : (float, float)
        The film's middle from the scan's upper left corner, right and down.
    start : Placement
        Found is how the film was turned and mirrored.

    Raises
    ------
    InputError
        If the marks do not determine a placement, or do not fit each other.
    """
    film = np.array([scan.point_mm(mark.pixel) for mark in marks]) - corner_mm
    plane = np.array([(mark.u_mm, mark.v_mm) for mark in marks])
    known = np.isfinite(plane)
    if np.count_nonzero(known) < 3 or not known.any(axis=0).all():
        raise InputError("--mark", "marks with three known coordinates, of u and of v, are needed")
    values = np.array([*np.nanmean(plane - np.where(known, film @ start.matrix.T, np.nan), axis=0), 0.0])
    for _ in range(STEPS):
        placement = replace(start, centre_mm=(values[0], values[1]), angle_deg=np.degrees(values[2]))
        residual = plane - np.column_stack(placement.to_plane(*film.T))
        turned = film @ placement.by_angle.T
        jacobian = np.zeros((*plane.shape, 3))
        jacobian[:, 0, 0] = jacobian[:, 1, 1] = 1.0
        jacobian[..., 2] = turned
        rows = jacobian[known]
        if np.linalg.matrix_rank(rows / np.maximum(np.abs(rows).max(axis=0), 1e-9), tol=1e-6) < 3:
            raise InputError(
                "--mark", "the marks leave a shift or the angle open", "add one far from the others"
            )
        step, *_ = np.linalg.lstsq(rows, residual[known], rcond=None)
        step[2] = np.clip(step[2], -0.3, 0.3)
        values += step
        if np.abs(step * [1.0, 1.0, 100.0]).max() < 1e-9:
            break
    excess = np.count_nonzero(known) - 3
    rms = float(np.sqrt(np.mean(np.square(residual[known]))))
    if rms > MAX_RESIDUAL_MM:
        raise InputError(
            "--mark",
            f"the marks miss each other by {rms:.1f} mm (rms)",
            "a mistyped place, a wrong resolution, or a film to be read with --mirror",
        )
    sigma = np.full(3, np.nan)
    if excess > 0:
        variance = np.square(residual[known]).sum() / excess
        sigma = np.sqrt(variance * np.diag(np.linalg.inv(rows.T @ rows)))
    return Fitted(
        placement,
        np.where(known, residual, np.nan),
        (float(sigma[0]), float(sigma[1])),
        float(np.degrees(sigma[2])),
    )
