"""Photon cross sections, form factors and scattering functions of elements on the engine's grids."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from mc.numerics.constants import ELECTRON_MASS
from mc.tables.elements import Element

PAIR_THRESHOLD, TRIPLET_THRESHOLD = 2.0 * ELECTRON_MASS, 4.0 * ELECTRON_MASS  # [MeV]
EDGE_POINTS = 200  # at which the photoelectric cross section is averaged over an interval that has an edge


def _log_spline(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic spline (a straight line through two points) of ln y against ln x."""
    if len(x) == 2:
        return np.exp(np.interp(np.log(at), np.log(x), np.log(y)))
    return np.exp(CubicSpline(np.log(x), np.log(y))(np.log(at)))


def _above_threshold(energy: np.ndarray, values: np.ndarray, threshold: float, at: np.ndarray) -> np.ndarray:
    """Pair or triplet cross section: (1 - threshold/E)^3 times a smooth function, as XCOM interpolates it."""
    known = values > 0
    reduced = values[known] / (1.0 - threshold / energy[known]) ** 3
    above = at > threshold
    result = np.zeros(len(at))
    result[above] = _log_spline(energy[known], reduced, at[above]) * (1.0 - threshold / at[above]) ** 3
    return result


def photoelectric_cross_section(element: Element, energy: np.ndarray) -> np.ndarray:
    """Photoelectric cross section (n,) [barn/atom], discontinuous at the absorption edges."""
    nodes, values = element.photoelectric
    first = element.photoelectric_segments
    last = np.append(first[1:], len(nodes))
    segment = np.searchsorted(nodes[first[1:]], energy, side="right")
    result = np.empty_like(energy)
    for s in np.unique(segment):
        inside = segment == s
        result[inside] = _log_spline(nodes[first[s] : last[s]], values[first[s] : last[s]], energy[inside])
    return result


def photon_cross_sections(element: Element, energy: np.ndarray) -> np.ndarray:
    """Partial cross sections of an atom.

    Interpolated in log-log by cubic splines, between absorption edges, pair and triplet after division
    by (1 - threshold/E)^3: the method of XCOM (Berger and Hubbell, NBSIR 87-3597, 1987).

    Parameters
    ----------
    element : Element
    energy : (n,) float64
        Photon energy [MeV], 1 keV to 100 MeV.

    Returns
    -------
    (5, n) float64
        Coherent, incoherent, photoelectric, pair, triplet [barn/atom].
    """
    nodes, coherent, incoherent, pair, triplet = element.photon
    return np.stack(
        [
            _log_spline(nodes, coherent, energy),
            _log_spline(nodes, incoherent, energy),
            photoelectric_cross_section(element, energy),
            _above_threshold(nodes, pair, PAIR_THRESHOLD, energy),
            _above_threshold(nodes, triplet, TRIPLET_THRESHOLD, energy),
        ]
    )


def cross_section_intervals(element: Element, nodes: np.ndarray) -> np.ndarray:
    """Partial cross sections at both ends of every interval of an energy grid.

    Those of the nodes, but where an absorption edge lies within the interval: there the photoelectric cross
    section is its mean over the interval, so that the jump is smeared over just one interval, and
    the mean over the interval is right.

    Returns
    -------
    (2, 5, len(nodes) - 1) float64
        Lower and upper end; parts as `photon_cross_sections` [barn/atom].
    """
    values = photon_cross_sections(element, nodes)
    ends = np.stack([values[:, :-1], values[:, 1:]])
    edges = element.photoelectric[0][element.photoelectric_segments[1:]]
    for i in np.unique(np.searchsorted(nodes, edges) - 1):
        if 0 <= i < len(nodes) - 1:
            fine = np.linspace(nodes[i], nodes[i + 1], 2 * EDGE_POINTS + 1)[1::2]
            ends[:, 2, i] = photoelectric_cross_section(element, fine).mean()
    return ends


def scattering_function(element: Element, x: np.ndarray) -> np.ndarray:
    """Incoherent scattering function S(x), (n,), electrons; x in 1/Angstrom."""
    return np.interp(x, *element.scattering)


def cumulative_form_factor(element: Element, x: np.ndarray) -> np.ndarray:
    """Integral of F(t^(1/2))^2 over t from 0 to x^2, (n,) [1/Angstrom^2], of the coherent form factor F.

    Parameters
    ----------
    element : Element
    x : (n,) float64
        Ascending momentum transfers [1/Angstrom].
    """
    panels = 8  # per interval of x
    edges = np.append(0.0, x)
    part = np.arange(panels) / panels
    fine = np.append((edges[:-1, None] + np.diff(edges)[:, None] * part).ravel(), edges[-1])
    nodes, weights = np.polynomial.legendre.leggauss(4)
    half = 0.5 * np.diff(fine)[:, None]
    points = fine[:-1, None] + half * (1.0 + nodes)
    integrand = 2.0 * points * np.interp(points, *element.form_factor) ** 2
    return np.cumsum((integrand * weights * half).sum(axis=1))[panels - 1 :: panels]
