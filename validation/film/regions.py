"""Where films lie on the scanner's bed, and how noisy their pixels are."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy import ndimage

from validation.film.scan import Scan

LEVELS = 256  # of the histogram in which bed and film are separated
RARE = 1e-3  # share of the pixels below which a level is empty: edges of films
MIN_GAP = 0.06  # between the response of the bed and of films
BED = 0.75  # the empty bed is at least this bright
OPAQUE = 0.02  # nothing, or a frame, is darker than this in blue; film of any dose is brighter
SMALLEST_MM = 4.0  # films less wide than this are dust
NOISE_LEVELS = 12  # of response at which noise is found
LAPLACIAN = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0


@dataclass(frozen=True, eq=False)
class Region:
    """A film, or part of one, on the bed.

    Parameters
    ----------
    rows, columns : slice
        Its bounding box.
    mask : (rows, columns) bool
        Of the whole scan.
    """

    rows: slice
    columns: slice
    mask: np.ndarray = field(repr=False)


def find_films(scan: Scan, unexposed: float | None = None) -> list[Region]:
    """Films on the bed, from top to bottom (those side by side from left to right).

    The empty bed is brighter than any film. Where the response of unexposed film is known the border is half
    way between both; otherwise it is the middle of the widest gap in the histogram. Without an empty bed in
    the picture, or black around the films, all of it is one film.

    Parameters
    ----------
    scan : Scan
    unexposed : float, optional
        Response of unexposed film in the red channel.
    """
    red = ndimage.median_filter(scan.response[..., 0], size=3)
    border = _bed_border(red) if unexposed is None else _border_above(red, unexposed)
    opaque = scan.response[..., 2] < OPAQUE
    if border is None and opaque.mean() < RARE:
        return [Region(slice(0, red.shape[0]), slice(0, red.shape[1]), np.ones(red.shape, bool))]
    size = [max(1, round(0.25 * SMALLEST_MM / pitch)) for pitch in scan.pitch_mm]
    film = _opened((red < (np.inf if border is None else border)) & ~opaque, size)
    film = ndimage.binary_fill_holes(film)
    labels, _ = ndimage.label(film)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (
            (part.stop - part.start) * pitch
            for part, pitch in zip((rows, columns), scan.pitch_mm, strict=True)
        )
        mask = labels == number
        if min(height, width) >= SMALLEST_MM and mask[rows, columns].mean() > 0.5:
            found.append(Region(rows, columns, mask))
    return _in_reading_order(found)


def inner(region: Region, scan: Scan, margin_mm: float) -> np.ndarray:
    """The region's pixels at least `margin_mm` from its cut edges; edges of the picture count for none."""
    padded = np.pad(region.mask, 1, mode="edge")
    distance = ndimage.distance_transform_edt(padded, sampling=scan.pitch_mm)[1:-1, 1:-1]
    return region.mask & ((distance > margin_mm) | padded.all())


def pixel_noise(scan: Scan, mask: np.ndarray) -> np.ndarray:
    """Standard deviation of the response of every pixel and channel, (rows, columns, 3).

    From a high-pass filter that is blind to gradients and curvature along the axes (Immerkaer, Comput Vis
    Image Underst 64 (1996) 300), as a function of response, from the pixels in `mask`; its spread is taken
    by the median, so that edges and dust count for little.
    """
    inside = ndimage.binary_erosion(mask, np.ones((3, 3)))
    noise = np.empty(scan.response.shape)
    for channel in range(3):
        values = scan.response[..., channel]
        if not inside.any():
            noise[..., channel] = 0.0
            continue
        rough = np.abs(ndimage.convolve(values, LAPLACIAN))[inside]
        level = values[inside]
        order = np.argsort(level, kind="stable")
        groups = np.array_split(order, min(NOISE_LEVELS, max(1, order.size // 500)))
        at = [float(level[group].mean()) for group in groups]
        # median of |x| is 0.6745 of a normal variable's sigma
        spread = [float(np.median(rough[group])) / 0.6745 for group in groups]
        noise[..., channel] = np.interp(values, at, spread)
    return noise


def _opened(film: np.ndarray, size: list[int]) -> np.ndarray:
    """Opening by a rectangle, which leaves films whole that reach beyond the picture."""
    padded = np.pad(film, [(n, n) for n in size], mode="edge")
    box = np.ones([2 * n + 1 for n in size])
    opened = ndimage.binary_opening(padded, box)
    return opened[size[0] : opened.shape[0] - size[0], size[1] : opened.shape[1] - size[1]]


def _bed_border(red: np.ndarray) -> float | None:
    """Middle of the widest gap between the responses of films and of the bed."""
    counts, edges = np.histogram(red, bins=LEVELS, range=(0.0, 1.0 + 1e-9))
    held = np.flatnonzero(counts > RARE * red.size)
    best, border = MIN_GAP, None
    for low, high in pairwise(held):
        gap = edges[high] - edges[low + 1]
        if edges[high] >= BED and gap > best:
            best, border = gap, 0.5 * (edges[high] + edges[low + 1])
    return border


def _border_above(red: np.ndarray, unexposed: float) -> float | None:
    bed = red[red > unexposed + 0.25 * (1.0 - unexposed)]
    return 0.5 * (unexposed + float(np.median(bed))) if bed.size > 0.002 * red.size else None


def _in_reading_order(regions: list[Region]) -> list[Region]:
    """From top to bottom; regions whose rows overlap by more than half are side by side."""
    waiting = sorted(regions, key=lambda region: region.rows.start)
    ordered: list[Region] = []
    while waiting:
        head = waiting[0]
        line = [region for region in waiting if _overlap(head.rows, region.rows) > 0.5]
        ordered += sorted(line, key=lambda region: region.columns.start)
        waiting = [region for region in waiting if region not in line]
    return ordered


def _overlap(one: slice, other: slice) -> float:
    """Common part of two ranges, in parts of the shorter."""
    shorter = min(one.stop - one.start, other.stop - other.start)
    return (min(one.stop, other.stop) - max(one.start, other.start)) / shorter
