"""The search behind gamma: the exact minimum over a trilinearly interpolated dose, compiled.

In one cell of the evaluated grid, in units of the distance criterion and relative to the
reference point, gamma squared is |u|^2 + h(u)^2, with h the trilinear dose difference over the
dose criterion. That need not be convex, so each cell is solved by branch and bound over boxes:

- first bound: h is an affine function plus mixed terms that stay below a known rho, and
  |u|^2 + max(0, |affine| - rho)^2 is convex with a box-constrained minimum in closed form;
- upper bound: from the point where that minimum lies, some steps down (`_descend`);
- second bound: about that point, by the second derivatives there (`_min_decrease`). Where the dose is not
  too rough this holds for a whole cell, and near a minimum always.

A first round over all cells only descends: once a low point is known, most cells need one box for the
proof that they hold none lower, hard ones a few halvings. No sampling step enters the answer.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from phantoms.kernel_cache import njit

TOLERANCE = 1e-5  # gamma found less the true minimum, at most
FIRST_STEPS, STEPS = 2, 3  # down towards the minimum: in a cell, in a box
KEPT = 0.1  # curvature held back for what is left of the slope where a descent ends
# of a dose difference [dose criterion]: a steeper one crosses 0 where this does, to 1e-7 of a cell
STEEPEST = 1e9
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
def _min_quadratic(slope, curvature, lower, upper):
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
def _is_positive(a, b, c, ab, ac, bc):
    """Whether the symmetric matrix of diagonal a, b, c is positive definite (Sylvester)."""
    return (
        a > 0.0
        and a * b > ab * ab
        and a * (b * c - bc * bc) - ab * (ab * c - ac * bc) + ac * (ab * bc - ac * b) > 0.0
    )


@njit
def _terms(h):
    """Coefficients of 1, z, y, x, zy, zx, yx, zyx of what is `h` at the corners of a unit cell, z slowest."""
    h000, h001, h010, h011, h100, h101, h110, h111 = h
    cz, cy, cx = h100 - h000, h010 - h000, h001 - h000
    czy, czx, cyx = h110 - h100 - cy, h101 - h100 - cx, h011 - h010 - cx
    return h000, cz, cy, cx, czy, czx, cyx, h111 - h110 - h101 + h100 - cyx


@njit
def _trilinear(terms, size, corner, u):
    """Dose difference, its gradient and its mixed derivatives at a point `u` of the cell.

    Parameters
    ----------
    terms : eight floats
        Of the dose difference over the dose criterion, from `_terms`.
    size, corner, u : (float, float, float)
        See `_minimum_in_cell`.

    Returns
    -------
    value : float
    gradient : (float, float, float)
    mixed : (float, float, float)
        zy, zx, yx.
    """
    c0, cz, cy, cx, czy, czx, cyx, czyx = terms
    pz, py, px = (u[0] - corner[0]) / size[0], (u[1] - corner[1]) / size[1], (u[2] - corner[2]) / size[2]
    zy, zx, yx = czy + czyx * px, czx + czyx * py, cyx + czyx * pz
    value = c0 + cz * pz + cy * py + cx * px + czy * pz * py + px * (czx * pz + yx * py)
    gradient = (
        (cz + czy * py + zx * px) / size[0],
        (cy + czy * pz + yx * px) / size[1],
        (cx + czx * pz + yx * py) / size[2],
    )
    return value, gradient, (zy / (size[0] * size[1]), zx / (size[0] * size[2]), yx / (size[1] * size[2]))


@njit
def _descend(terms, size, corner, u, lower, upper, steps):
    """Follow gamma squared down from `u` in a box: each step is exact for the dose linearised there.

    Returns
    -------
    gamma_squared : float
        The least so far.
    u : (float, float, float)
        Where it is.
    """
    value, gradient, _ = _trilinear(terms, size, corner, u)
    least, where = u[0] * u[0] + u[1] * u[1] + u[2] * u[2] + value * value, u
    for _ in range(steps):
        start = value - gradient[0] * u[0] - gradient[1] * u[1] - gradient[2] * u[2]
        _, u = _convex_minimum(start, gradient, 0.0, lower, upper)
        value, gradient, _ = _trilinear(terms, size, corner, u)
        found = u[0] * u[0] + u[1] * u[1] + u[2] * u[2] + value * value
        if found >= least - 1e-9:
            if found < least:
                least, where = found, u
            break
        least, where = found, u
    return least, where


@njit
def _low_point(terms, corner, size):
    """Gamma squared at a low point of a cell, the end of a descent from its nearest point."""
    far = (corner[0] + size[0], corner[1] + size[1], corner[2] + size[2])
    u = (_clip(0.0, corner[0], far[0]), _clip(0.0, corner[1], far[1]), _clip(0.0, corner[2], far[2]))
    return _descend(terms, size, corner, u, corner, far, FIRST_STEPS)[0]


@njit
def _min_decrease(terms, size, corner, u, lower, upper):
    """Lower bound on gamma squared in a box, less that at the point `u` of it.

    With h, g, H the dose difference, its gradient and mixed derivatives at u, q = u + h g, and m(d) what h
    has beyond its linear part, gamma squared rises from u to u + d by

        2 q.d + |d|^2 + 2 h m(d) + (g.d + m(d))^2,

    where 2 m(d) is d.H.d and a term of third order. If the form |d|^2 + 2 h m(d) is positive in the box, that
    leaves the linear term, which falls nowhere from a minimum. If not, (g.d + m)^2 >= (g.d)^2 / 2 - m^2
    may make up for it.
    """
    h, g, (zy, zx, yx) = _trilinear(terms, size, corner, u)
    third = abs(terms[7]) / (3.0 * size[0] * size[1] * size[2])
    az, ay, ax = lower[0] - u[0], lower[1] - u[1], lower[2] - u[2]
    bz, by, bx = upper[0] - u[0], upper[1] - u[1], upper[2] - u[2]
    dz, dy, dx = max(-az, bz), max(-ay, by), max(-ax, bx)
    qz, qy, qx = 2.0 * (u[0] + h * g[0]), 2.0 * (u[1] + h * g[1]), 2.0 * (u[2] + h * g[2])
    # the third order as a part of H, shared by its three places
    mzy, mzx, myx = abs(zy) + third * dx, abs(zx) + third * dy, abs(yx) + third * dz
    spare = abs(h) * third
    cz, cy, cx = 1.0 - spare * (dy + dx), 1.0 - spare * (dz + dx), 1.0 - spare * (dz + dy)
    if _is_positive(cz - KEPT, cy - KEPT, cx - KEPT, h * zy, h * zx, h * yx):
        curvature = KEPT
    else:
        most = 0.5 * (mzy * dz * dy + mzx * dz * dx + myx * dy * dx)
        if _is_positive(
            cz + 0.5 * g[0] * g[0] - most * (mzy + mzx) - KEPT,
            cy + 0.5 * g[1] * g[1] - most * (mzy + myx) - KEPT,
            cx + 0.5 * g[2] * g[2] - most * (mzx + myx) - KEPT,
            h * zy + 0.5 * g[0] * g[1],
            h * zx + 0.5 * g[0] * g[2],
            h * yx + 0.5 * g[1] * g[2],
        ):
            curvature = KEPT
        else:
            # eigenvalues of a symmetric matrix without trace are at most sqrt(2/3) of its Frobenius norm
            curvature = 1.0 - abs(h) * math.sqrt(4.0 / 3.0 * (mzy * mzy + mzx * mzx + myx * myx))
    return (
        _min_quadratic(qz, curvature, az, bz)
        + _min_quadratic(qy, curvature, ay, by)
        + _min_quadratic(qx, curvature, ax, bx)
    )


@njit
def _minimum_in_cell(terms, corner, size, best, stack):
    """Lower `best` (gamma squared) to the minimum in one cell, if that is lower.

    Parameters
    ----------
    terms : eight floats
        See `_trilinear`.
    corner, size : (float, float, float)
        Lower corner relative to the reference point, and size [distance criterion].
    best : float
    stack : (STACK_DEPTH, 6) float64
        Scratch: centre and half width of the boxes to visit [distance criterion].
    """
    third = abs(terms[7]) / (size[0] * size[1] * size[2])
    far = (corner[0] + size[0], corner[1] + size[1], corner[2] + size[2])
    # only what may lie closer than `best`
    reach = math.sqrt(best)
    for axis in range(3):
        low, high = _clip(-reach, corner[axis], far[axis]), _clip(reach, corner[axis], far[axis])
        stack[0, axis], stack[0, 3 + axis] = 0.5 * (low + high), 0.5 * (high - low)
    top = 1
    while top > 0:
        top -= 1
        middle, half = (
            (stack[top, 0], stack[top, 1], stack[top, 2]),
            (stack[top, 3], stack[top, 4], stack[top, 5]),
        )
        lower = (middle[0] - half[0], middle[1] - half[1], middle[2] - half[2])
        upper = (middle[0] + half[0], middle[1] + half[1], middle[2] + half[2])
        # h on the box: value and gradient at its middle, and the mixed terms that are left
        value, g, (zy, zx, yx) = _trilinear(terms, size, corner, middle)
        bzy, bzx, byx = abs(zy) * half[0] * half[1], abs(zx) * half[0] * half[2], abs(yx) * half[1] * half[2]
        rho = bzy + bzx + byx + third * half[0] * half[1] * half[2]
        start = value - g[0] * middle[0] - g[1] * middle[1] - g[2] * middle[2]
        bound, u = _convex_minimum(start, g, rho, lower, upper)
        good_enough = max(0.0, math.sqrt(best) - TOLERANCE)
        if bound >= good_enough * good_enough:
            continue
        found, u = _descend(terms, size, corner, u, lower, upper, STEPS)
        best = min(best, found)
        good_enough = max(0.0, math.sqrt(best) - TOLERANCE)
        if found + _min_decrease(terms, size, corner, u, lower, upper) >= good_enough * good_enough:
            continue
        if top + 2 > STACK_DEPTH:
            continue  # halved as far as numbers go
        # halve along the axis that adds most to rho; the half that holds the lowest point goes first
        if bzy + bzx >= bzy + byx and bzy + bzx >= bzx + byx:
            axis = 0
        elif bzy + byx >= bzx + byx:
            axis = 1
        else:
            axis = 2
        ahead, part = u[axis] > middle[axis], 0.5 * half[axis]
        for child in (top, top + 1):
            stack[child, 0], stack[child, 1], stack[child, 2] = middle
            stack[child, 3], stack[child, 4], stack[child, 5] = half
            stack[child, 3 + axis] = part
            stack[child, axis] += part if (child == top + 1) == ahead else -part
        top += 2
    return best


@njit
def _limited(h):
    """Dose differences no steeper than `STEEPEST`, which no halving of boxes could resolve."""
    a, b, c, d, e, f, g, i = h
    return (
        _clip(a, -STEEPEST, STEEPEST),
        _clip(b, -STEEPEST, STEEPEST),
        _clip(c, -STEEPEST, STEEPEST),
        _clip(d, -STEEPEST, STEEPEST),
        _clip(e, -STEEPEST, STEEPEST),
        _clip(f, -STEEPEST, STEEPEST),
        _clip(g, -STEEPEST, STEEPEST),
        _clip(i, -STEEPEST, STEEPEST),
    )


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
    # a low point found by mere descent in all cells spares most of the proof in each
    for proving in (False, True):
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
            if highest > STEEPEST or lowest < -STEEPEST:
                h = _limited(h)
            if proving:
                best = _minimum_in_cell(_terms(h), corner, size, best, stack)
            else:
                best = min(best, _low_point(_terms(h), corner, size))
    return best


@njit(parallel=True, cache=True)
def search(
    reference, chosen, z, y, x, evaluated, size, offsets, offset_distance, fraction, scale, max_gamma, workers
):
    """Gamma of the chosen voxels in their order, (n,); the same for any number of workers.

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
    rows = z.size * y.size
    first = np.zeros(rows + 1, np.int64)  # of each row in the result
    for row in prange(rows):
        first[row + 1] = np.sum(chosen[row // y.size, row % y.size])
    for row in range(rows):
        first[row + 1] += first[row]
    gamma = np.empty(first[rows])
    for worker in prange(workers):
        stack = np.empty((STACK_DEPTH, 6))
        for row in range(worker, rows, workers):
            i, j, n = row // y.size, row % y.size, first[row]
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
                    gamma[n] = math.sqrt(best)
                    n += 1
    return gamma
