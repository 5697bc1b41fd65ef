"""Kernels of dose-volume histograms: the dose of each cell of a structure, and cells sorted by dose."""

from __future__ import annotations

import numpy as np

from phantoms.kernel_cache import njit

ROUNDING = 1e-9  # of doses, volumes and places


def nodes(cells: int, divisions: int, corner: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which voxels the cells along an axis lie.

    Parameters
    ----------
    cells, divisions : int
        Number of cells, and of them in a voxel.
    corner, size : int
        Voxel of the first cell, and number of voxels, in the part of the dose at hand.

    Returns
    -------
    nodes : (cells, 6) int64
        Voxels below and above; two pairs of voxels of which the smaller difference is the gradient (on a
        voxel's centre those on either side, so that an edge of the dose is not carried over it).
    weights : (cells, 2) float64
        Of the voxel above; of the difference, which then is that from end to end of the cell.
    """
    place = corner - 0.5 + (np.arange(cells) + 0.5) / divisions
    low = np.clip(np.floor(place + ROUNDING), 0, max(size - 2, 0)).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = np.clip(place - low, 0.0, 1.0)
    middle = np.rint(place).astype(np.int64)
    centre = np.abs(place - middle) < 1e-6
    pairs = np.stack([low, high, low, high])
    before, after = np.maximum(middle - 1, 0), np.minimum(middle + 1, size - 1)
    pairs[:, centre] = np.stack([middle, after, before, middle])[:, centre]
    pairs[:2, centre & (after == middle)] = pairs[2:, centre & (after == middle)]
    pairs[2:, centre & (before == middle)] = pairs[:2, centre & (before == middle)]
    outside = (place < -1e-6) | (place > size - 1 + 1e-6)
    slope = np.where(outside, 0.0, 1.0 / divisions)
    return np.stack([low, high, *pairs], axis=1), np.stack([weight, slope], axis=1)


@njit(cache=True)
def _smaller(a, b):
    """The smaller of two numbers of one sign, 0 where the signs differ."""
    if a * b <= 0.0:
        return 0.0
    return a if abs(a) < abs(b) else b


@njit(cache=True)
def _bent(a, b, c, d, first, last, t):
    """What bending adds at `t` between `b` and `c`; `a` before is there unless `first`, `d` unless `last`."""
    left, right = a - 2.0 * b + c, b - 2.0 * c + d
    if first and last:
        bend = 0.0
    elif first:
        bend = right
    elif last:
        bend = left
    else:
        bend = _smaller(left, right)
    return 0.5 * t * (t - 1.0) * bend


@njit(cache=True)
def _row(dose, zn, zw, yn, yw, value, steps):
    """Dose and squared differences along z and y of a row of cells, at the voxels of the x axis."""
    nz, ny, nx = dose.shape
    z0, z1, y0, y1 = zn[0], zn[1], yn[0], yn[1]
    tz, ty = zw[0], yw[0]
    first_z, last_z, first_y, last_y = z0 == 0, z1 == nz - 1, y0 == 0, y1 == ny - 1
    before_z, behind_z = max(z0 - 1, 0), min(z1 + 1, nz - 1)
    before_y, behind_y = max(y0 - 1, 0), min(y1 + 1, ny - 1)
    bent_z, bent_y = 0.0 < tz < 1.0, 0.0 < ty < 1.0
    for i in range(nx):
        lower = dose[z0, y0, i] + ty * (dose[z0, y1, i] - dose[z0, y0, i])
        upper = dose[z1, y0, i] + ty * (dose[z1, y1, i] - dose[z1, y0, i])
        value[i] = lower + tz * (upper - lower)
        if bent_z:
            below = dose[before_z, y0, i] + ty * (dose[before_z, y1, i] - dose[before_z, y0, i])
            above = dose[behind_z, y0, i] + ty * (dose[behind_z, y1, i] - dose[behind_z, y0, i])
            value[i] += _bent(below, lower, upper, above, first_z, last_z, tz)
        front = dose[z0, y0, i] + tz * (dose[z1, y0, i] - dose[z0, y0, i])
        back = dose[z0, y1, i] + tz * (dose[z1, y1, i] - dose[z0, y1, i])
        if bent_y:
            before = dose[z0, before_y, i] + tz * (dose[z1, before_y, i] - dose[z0, before_y, i])
            behind = dose[z0, behind_y, i] + tz * (dose[z1, behind_y, i] - dose[z0, behind_y, i])
            value[i] += _bent(before, front, back, behind, first_y, last_y, ty)
        step_z = _step(dose[zn[2], y0, i], dose[zn[3], y0, i], dose[zn[4], y0, i], dose[zn[5], y0, i])
        step_y = _step(dose[z0, yn[2], i], dose[z0, yn[3], i], dose[z0, yn[4], i], dose[z0, yn[5], i])
        if ty > 0.0:
            at_y1 = _step(dose[zn[2], y1, i], dose[zn[3], y1, i], dose[zn[4], y1, i], dose[zn[5], y1, i])
            step_z += ty * (at_y1 - step_z)
        if tz > 0.0:
            at_z1 = _step(dose[z1, yn[2], i], dose[z1, yn[3], i], dose[z1, yn[4], i], dose[z1, yn[5], i])
            step_y += tz * (at_z1 - step_y)
        steps[i] = (step_z * zw[1]) ** 2 + (step_y * yw[1]) ** 2


@njit(cache=True)
def _step(a, b, c, d):
    """The smaller of two differences."""
    return _smaller(b - a, d - c)


@njit(cache=True)
def _spread(value, steps, xn, xw):
    """Lowest, mean and highest dose of a cell."""
    t, low, high = xw[0], xn[0], xn[1]
    mean = value[low] + t * (value[high] - value[low])
    if 0.0 < t < 1.0:
        last = value.size - 1
        a, d = value[max(low - 1, 0)], value[min(high + 1, last)]
        mean += _bent(a, value[low], value[high], d, low == 0, high == last, t)
    along = _step(value[xn[2]], value[xn[3]], value[xn[4]], value[xn[5]])
    square = steps[low] + t * (steps[high] - steps[low]) + (along * xw[1]) ** 2
    half = 0.5 * np.sqrt(square)
    return mean - half, mean, mean + half


@njit(cache=True)
def extremes(coverage, dose, z_axis, y_axis, x_axis):
    """Lowest and highest dose of the cells that lie in the structure by half or more, or else of all."""
    value, steps = np.empty(dose.shape[2]), np.empty(dose.shape[2])
    for least in (0.5, 0.0):
        lowest, highest = np.inf, -np.inf
        for k in range(coverage.shape[0]):
            for j in range(coverage.shape[1]):
                if not coverage[k, j].any():
                    continue
                _row(dose, z_axis[0][k], z_axis[1][k], y_axis[0][j], y_axis[1][j], value, steps)
                for i in range(coverage.shape[2]):
                    if coverage[k, j, i] > 0.0 and coverage[k, j, i] >= least:
                        a, _, b = _spread(value, steps, x_axis[0][i], x_axis[1][i])
                        lowest, highest = min(lowest, a), max(highest, b)
        if lowest <= highest:
            break
    return lowest, highest


@njit(cache=True)
def histogram(coverage, dose, z_axis, y_axis, x_axis, lowest, highest, width, bins):
    """Sort the cells by dose.

    Returns
    -------
    counts, more : (bins,) float64
        Cells in each bin are `counts` and the running sum of `more`.
    ends : (2, bins) float64
        Lowest and highest dose in each bin.
    mean : float
    """
    counts, more = np.zeros(bins), np.zeros(bins + 1)
    spanned = np.zeros(bins + 1, np.int64)
    ends = np.empty((2, bins))
    for n in range(bins):
        ends[0, n], ends[1, n] = lowest + (n + 1) * width, lowest + n * width
    value, steps = np.empty(dose.shape[2]), np.empty(dose.shape[2])
    total, weighted = 0.0, 0.0
    for k in range(coverage.shape[0]):
        for j in range(coverage.shape[1]):
            if not coverage[k, j].any():
                continue
            _row(dose, z_axis[0][k], z_axis[1][k], y_axis[0][j], y_axis[1][j], value, steps)
            for i in range(coverage.shape[2]):
                part = float(coverage[k, j, i])
                if part <= 0.0:
                    continue
                a, mean, b = _spread(value, steps, x_axis[0][i], x_axis[1][i])
                total += part
                weighted += part * mean
                a, b = min(max(a, lowest), highest), min(max(b, lowest), highest)
                first = min(bins - 1, int((a - lowest) / width))
                last = min(bins - 1, int((b - lowest) / width))
                ends[0, first], ends[1, last] = min(ends[0, first], a), max(ends[1, last], b)
                if first == last:
                    counts[first] += part
                    continue
                density = part / (b - a)
                counts[first] += density * (lowest + (first + 1) * width - a)
                counts[last] += density * (b - lowest - last * width)
                more[first + 1] += density * width
                more[last] -= density * width
                ends[1, first], ends[0, last] = lowest + (first + 1) * width, lowest + last * width
                spanned[first + 1] += 1
                spanned[last] -= 1
    through = 0
    for n in range(bins):
        through += spanned[n]
        if through > 0:
            ends[0, n], ends[1, n] = lowest + n * width, lowest + (n + 1) * width
    return counts, more[:bins], ends, weighted / total
