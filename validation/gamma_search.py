"""The search behind gamma: the exact minimum over a trilinearly interpolated dose, compiled.

In one cell of the evaluated grid, in units of the distance criterion and relative to the
reference point, gamma squared is |u|^2 + h(u)^2, with h the trilinear dose difference over the
dose criterion. That need not be convex, so each cell is solved by branch and bound over boxes:

- first bound: h is an affine function plus mixed terms that stay below a known rho, and
  |u|^2 + max(0, |affine| - rho)^2 is convex with a box-constrained minimum in closed form;
- upper bound: gamma squared at the point where that minimum lies;
- second bound: from that point, by its gradient and the least curvature on the box. The Hessian
  is 2 + 2 grad h grad h^T + 2 h H with H the mixed derivatives, so it exceeds 2 - 2 max|h| |H|.

The gap is of second order in the size of the box: most cells need one box, hard ones a few
halvings. No sampling step enters the answer.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

TOLERANCE = 1e-5  # gamma found less the true minimum, at most
STACK_DEPTH = 256  # boxes waiting; depth first, so one per halving: double precision ends near 160


@njit
def _moving_range(lower, upper, slope):
    """Multipliers for which clip(-multiplier * slope, lower, upper) moves, as (first, last)."""
    if slope == 0.0:
        return 0.0, 0.0
    a, b = -lower / slope, -upper / slope
    return max(0.0, min(a, b)), max(0.0, max(a, b))


@njit
def _clip(value, lower, upper):
    return min(max(value, lower), upper)


@njit
def _least_quadratic(slope, curvature, lower, upper):
    """Minimum of slope * d + curvature * d^2 for d in [lower, upper]."""
    if curvature > 0.0:
        d = _clip(-0.5 * slope / curvature, lower, upper)
        return d * (slope + curvature * d)
    return min(lower * (slope + curvature * lower), upper * (slope + curvature * upper))


@njit
def _convex_minimum(value, slope, rho, lower, upper):
    """Minimise |u|^2 + max(0, |value + slope . u| - rho)^2 over a box.

    By the stationarity condition u = clip(-multiplier * slope), where the multiplier equals the
    signed excess max(0, |affine| - rho). Excess less multiplier falls piecewise linearly, with
    two kinks an axis: walk along the kinks to the root.

    Parameters
    ----------
    value : float
        The affine function at u = 0.
    slope, lower, upper : (float, float, float)
        Its gradient; the box.
    rho : float

    Returns
    -------
    minimum : float
    u : (float, float, float)
    """
    a, b, c = slope
    uz, uy, ux = (
        _clip(0.0, lower[0], upper[0]),
        _clip(0.0, lower[1], upper[1]),
        _clip(0.0, lower[2], upper[2]),
    )
    start = value + a * uz + b * uy + c * ux
    excess = abs(start) - rho
    if excess <= 0.0:
        return uz * uz + uy * uy + ux * ux, (uz, uy, ux)
    if start < 0.0:
        a, b, c = -a, -b, -c
    first_a, last_a = _moving_range(lower[0], upper[0], a)
    first_b, last_b = _moving_range(lower[1], upper[1], b)
    first_c, last_c = _moving_range(lower[2], upper[2], c)
    multiplier = 0.0
    while True:
        fall, kink = 1.0, math.inf
        for first, last, s in ((first_a, last_a, a), (first_b, last_b, b), (first_c, last_c, c)):
            if multiplier < first:
                kink = min(kink, first)
            elif multiplier < last:
                kink = min(kink, last)
                fall += s * s
        if multiplier + excess / fall <= kink:
            multiplier += excess / fall
            break
        excess -= fall * (kink - multiplier)
        multiplier = kink
    uz = _clip(-multiplier * a, lower[0], upper[0])
    uy = _clip(-multiplier * b, lower[1], upper[1])
    ux = _clip(-multiplier * c, lower[2], upper[2])
    return uz * uz + uy * uy + ux * ux + multiplier * multiplier, (uz, uy, ux)


@njit
def _minimum_in_cell(h, corner, size, best, stack):
    """Lower `best` (gamma squared) to the minimum in one cell, if that is lower.

    Parameters
    ----------
    h : eight floats
        Dose difference over the dose criterion at the corners, z slowest.
    corner, size : (float, float, float)
        Lower corner relative to the reference point, and size [distance criterion].
    best : float
    stack : (STACK_DEPTH, 6) float64
        Scratch: centre and half width of the boxes to visit, in units of the cell.
    """
    h000, h001, h010, h011, h100, h101, h110, h111 = h
    cz, cy, cx = h100 - h000, h010 - h000, h001 - h000
    czy, czx, cyx = h110 - h100 - cy, h101 - h100 - cx, h011 - h010 - cx
    czyx = h111 - h110 - h101 + h100 - cyx
    # the point of the cell nearest to the reference point, then only what may lie closer than `best`
    pz = _clip(-corner[0] / size[0], 0.0, 1.0)
    py = _clip(-corner[1] / size[1], 0.0, 1.0)
    px = _clip(-corner[2] / size[2], 0.0, 1.0)
    uz, uy, ux = corner[0] + pz * size[0], corner[1] + py * size[1], corner[2] + px * size[2]
    found = h000 + cz * pz + cy * py + cx * px + czy * pz * py + czx * pz * px + cyx * py * px
    found += czyx * pz * py * px
    best = min(best, uz * uz + uy * uy + ux * ux + found * found)
    reach = math.sqrt(best)
    for axis in range(3):
        low = _clip((-reach - corner[axis]) / size[axis], 0.0, 1.0)
        high = _clip((reach - corner[axis]) / size[axis], 0.0, 1.0)
        stack[0, axis], stack[0, 3 + axis] = 0.5 * (low + high), 0.5 * (high - low)
    top = 1
    while top > 0:
        top -= 1
        tz, ty, tx = stack[top, 0], stack[top, 1], stack[top, 2]
        wz, wy, wx = stack[top, 3], stack[top, 4], stack[top, 5]
        # h on the box: value and gradient at its centre, and the mixed terms that are left
        zy, zx, yx = czy + czyx * tx, czx + czyx * ty, cyx + czyx * tz
        value = h000 + cz * tz + cy * ty + cx * tx + czy * tz * ty + czx * tz * tx + cyx * ty * tx
        value += czyx * tz * ty * tx
        gz = (cz + czy * ty + zx * tx) / size[0]
        gy = (cy + czy * tz + yx * tx) / size[1]
        gx = (cx + czx * tz + yx * ty) / size[2]
        bzy, bzx, byx = abs(zy) * wz * wy, abs(zx) * wz * wx, abs(yx) * wy * wx
        rho = bzy + bzx + byx + abs(czyx) * wz * wy * wx
        mz, my, mx = corner[0] + tz * size[0], corner[1] + ty * size[1], corner[2] + tx * size[2]
        rz, ry, rx = wz * size[0], wy * size[1], wx * size[2]
        bound, (uz, uy, ux) = _convex_minimum(
            value - gz * mz - gy * my - gx * mx,
            (gz, gy, gx),
            rho,
            (mz - rz, my - ry, mx - rx),
            (mz + rz, my + ry, mx + rx),
        )
        good_enough = max(0.0, math.sqrt(best) - TOLERANCE)
        if bound >= good_enough * good_enough:
            continue
        pz, py, px = (uz - corner[0]) / size[0], (uy - corner[1]) / size[1], (ux - corner[2]) / size[2]
        found = h000 + cz * pz + cy * py + cx * px + czy * pz * py + czx * pz * px + cyx * py * px
        found += czyx * pz * py * px
        value_there = uz * uz + uy * uy + ux * ux + found * found
        best = min(best, value_there)
        # second bound, from the gradient there and the least curvature on the box
        hz = (cz + czy * py + czx * px + czyx * py * px) / size[0]
        hy = (cy + czy * pz + cyx * px + czyx * pz * px) / size[1]
        hx = (cx + czx * pz + cyx * py + czyx * pz * py) / size[2]
        mixed_zy = (abs(zy) + abs(czyx) * wx) / (size[0] * size[1])
        mixed_zx = (abs(zx) + abs(czyx) * wy) / (size[0] * size[2])
        mixed_yx = (abs(yx) + abs(czyx) * wz) / (size[1] * size[2])
        steepest = abs(value) + abs(gz) * rz + abs(gy) * ry + abs(gx) * rx + rho
        twist = mixed_zy * mixed_zy + mixed_zx * mixed_zx + mixed_yx * mixed_yx
        # eigenvalues of a symmetric matrix without trace are at most sqrt(2/3) of its Frobenius norm
        curvature = 1.0 - steepest * math.sqrt(4.0 / 3.0 * twist)
        fall = _least_quadratic(2 * (uz + found * hz), curvature, mz - rz - uz, mz + rz - uz)
        fall += _least_quadratic(2 * (uy + found * hy), curvature, my - ry - uy, my + ry - uy)
        fall += _least_quadratic(2 * (ux + found * hx), curvature, mx - rx - ux, mx + rx - ux)
        bound = max(bound, value_there + fall)
        good_enough = max(0.0, math.sqrt(best) - TOLERANCE)
        if bound >= good_enough * good_enough:
            continue
        # halve along the axis that adds most to rho; the half that holds the bound's minimum goes first
        if bzy + bzx >= bzy + byx and bzy + bzx >= bzx + byx:
            axis, half, ahead = 0, 0.5 * wz, pz > tz
        elif bzy + byx >= bzx + byx:
            axis, half, ahead = 1, 0.5 * wy, py > ty
        else:
            axis, half, ahead = 2, 0.5 * wx, px > tx
        for child in (top, top + 1):
            stack[child, 0], stack[child, 1], stack[child, 2] = tz, ty, tx
            stack[child, 3], stack[child, 4], stack[child, 5] = wz, wy, wx
            stack[child, 3 + axis] = half
            stack[child, axis] += half if (child == top + 1) == ahead else -half
        top += 2
    return best


@njit
def _gamma_squared(dose, per_dose, position, size, evaluated, offsets, offset_distance, best, stack):
    """Gamma squared of one reference point, at most `best`; cells visited from near to far.

    Parameters
    ----------
    dose, per_dose : float
        Reference dose [Gy]; inverse of the dose criterion [1/Gy].
    position : (float, float, float)
        Fractional index of the point in the evaluated grid.
    size : (float, float, float)
        Voxel of the evaluated grid [distance criterion].
    evaluated : (nz, ny, nx) float64 [Gy]
    offsets, offset_distance : (n, 3) int64, (n,) float64
        Cells relative to the point's own and a lower bound of their squared distance, ascending.
    """
    nz, ny, nx = evaluated.shape
    iz, iy, ix = math.floor(position[0]), math.floor(position[1]), math.floor(position[2])
    for n in range(offsets.shape[0]):
        if offset_distance[n] >= best:
            break
        z, y, x = iz + offsets[n, 0], iy + offsets[n, 1], ix + offsets[n, 2]
        if z < 0 or y < 0 or x < 0 or z > nz - 2 or y > ny - 2 or x > nx - 2:
            continue
        corner = (
            (z - position[0]) * size[0],
            (y - position[1]) * size[1],
            (x - position[2]) * size[2],
        )
        dz = _clip(0.0, corner[0], corner[0] + size[0])
        dy = _clip(0.0, corner[1], corner[1] + size[1])
        dx = _clip(0.0, corner[2], corner[2] + size[2])
        distance = dz * dz + dy * dy + dx * dx
        if distance >= best:
            continue
        h = (
            (evaluated[z, y, x] - dose) * per_dose,
            (evaluated[z, y, x + 1] - dose) * per_dose,
            (evaluated[z, y + 1, x] - dose) * per_dose,
            (evaluated[z, y + 1, x + 1] - dose) * per_dose,
            (evaluated[z + 1, y, x] - dose) * per_dose,
            (evaluated[z + 1, y, x + 1] - dose) * per_dose,
            (evaluated[z + 1, y + 1, x] - dose) * per_dose,
            (evaluated[z + 1, y + 1, x + 1] - dose) * per_dose,
        )
        lowest = min(min(min(h[0], h[1]), min(h[2], h[3])), min(min(h[4], h[5]), min(h[6], h[7])))
        highest = max(max(max(h[0], h[1]), max(h[2], h[3])), max(max(h[4], h[5]), max(h[6], h[7])))
        gap = max(0.0, max(lowest, -highest))
        if distance + gap * gap >= best:
            continue
        best = _minimum_in_cell(h, corner, size, best, stack)
    return best


@njit(parallel=True, cache=True)
def search(
    reference, chosen, z, y, x, evaluated, size, offsets, offset_distance, fraction, scale, max_gamma, workers
):
    """Gamma of the chosen voxels, NaN elsewhere; the same for any number of workers.

    Parameters
    ----------
    reference : (nz, ny, nx) float64 [Gy]
    chosen : (nz, ny, nx) bool
    z, y, x : (n,) float64
        Fractional indices of the reference voxels' centres in the evaluated grid, by axis.
    evaluated : (mz, my, mx) float64 [Gy]
    size : (float, float, float)
        Voxel of the evaluated grid [distance criterion].
    offsets, offset_distance : see `_gamma_squared`
    fraction, scale : float
        Dose criterion as a fraction of `scale` [Gy]; of the local reference dose where `scale` is 0.
    max_gamma : float
    workers : int
        Rows are dealt to the workers in turn, which evens out where the dose fails.
    """
    gamma = np.full(reference.shape, np.nan)
    rows = z.size * y.size
    for worker in prange(workers):
        stack = np.empty((STACK_DEPTH, 6))
        for row in range(worker, rows, workers):
            i, j = row // y.size, row % y.size
            for k in range(x.size):
                if chosen[i, j, k]:
                    dose = reference[i, j, k]
                    per_dose = 1.0 / (fraction * (scale if scale > 0.0 else dose))
                    best = _gamma_squared(
                        dose,
                        per_dose,
                        (z[i], y[j], x[k]),
                        size,
                        evaluated,
                        offsets,
                        offset_distance,
                        max_gamma * max_gamma,
                        stack,
                    )
                    gamma[i, j, k] = math.sqrt(best)
    return gamma
