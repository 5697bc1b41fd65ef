"""Mean responses of films of known dose, by cells of lateral position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from phantoms.errors import InputError
from validation.film.film_set import FilmSet
from validation.film.lateral import STEP_MM
from validation.film.regions import Region, find_films, inner
from validation.film.scan import Scan

BLOCK_MM = 3.0  # side of the blocks whose means show how even a film is
CLIP = 3.0  # sigmas beyond which a pixel is dust


@dataclass(frozen=True, eq=False)
class Measured:
    """Means of the response over cells of the films.

    Parameters
    ----------
    dose : (n,) float64
        Of each cell [Gy].
    response, sigma : (n, 3) float64
        Mean and its one sigma, by how uneven the film is.
    position_mm : (n,) float64
        Lateral.
    film : (n,) int64
        Index of the film's dose in the ascending row of doses given: films of one dose count as one.
    """

    dose: np.ndarray
    response: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    position_mm: np.ndarray = field(repr=False)
    film: np.ndarray = field(repr=False)


def measure(films: FilmSet, scans: Sequence[Scan]) -> tuple[Measured, list[tuple[int, np.ndarray]]]:
    """Means over cells of all films, and the pixels of each film as (index of its scan, mask)."""
    rows, regions = [], []
    doses = films.doses().tolist()
    across = 1 if films.lateral_axis == "x" else 0
    for index, (scan, (_, entries)) in enumerate(zip(scans, films.groups, strict=True)):
        middle = 0.5 * scan.size_mm[across] if films.middle_mm is None else films.middle_mm
        position = np.broadcast_to(np.expand_dims(scan.centres_mm(across) - middle, 1 - across), scan.shape)
        for (dose, _), region in zip(entries, _regions(films, scan, entries), strict=True):
            mask = inner(region, scan, films.margin_mm)
            if np.count_nonzero(mask) < 25:
                raise InputError(films.path, f"the film of {dose:g} Gy has {np.count_nonzero(mask)} pixels")
            regions.append((index, mask))
            ends = position[mask].min(), position[mask].max()
            centre = 0.5 * (ends[0] + ends[1])
            cell = (
                np.rint(position / STEP_MM).astype(int)
                if films.lateral_response
                else np.zeros(scan.shape, int)
            )
            for one in np.unique(cell[mask]):
                chosen = mask & (cell == one)
                if films.lateral_response and np.ptp(position[chosen]) < 0.6 * STEP_MM:
                    continue  # the rest of a cell at the film's end
                at = position[chosen]
                given = dose
                if films.profile is not None:
                    away = at - centre
                    if away.min() < films.profile[0, 0] or away.max() > films.profile[-1, 0]:
                        raise InputError(
                            films.path, "its dose_profile does not reach to the ends of the films"
                        )
                    given = dose * float(np.interp(away, *films.profile.T).mean())
                mean, sigma = _mean(scan, chosen)
                rows.append((given, mean, sigma, float(at.mean()), doses.index(dose)))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Measured(*columns), regions


def blocks(scan: Scan, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of `BLOCK_MM` a side of chosen pixels.

    Returns
    -------
    block : (n,) int64
        In which each chosen pixel lies, from 0.
    count : (m,) int64
        Pixels of each block.
    full : (m,) bool
        Whether more than half of it is chosen.
    """
    rows, columns = np.nonzero(chosen)
    down, across = (max(1, round(BLOCK_MM / pitch)) for pitch in scan.pitch_mm)
    _, block = np.unique((rows // down) * 100_000 + columns // across, return_inverse=True)
    count = np.bincount(block)
    return block, count, count > 0.5 * down * across


def _regions(films: FilmSet, scan: Scan, entries: Sequence) -> list[Region]:
    """Where the films lie: in their boxes, or found on the bed and taken from top to bottom."""
    boxes = [box for _, box in entries]
    if all(box is not None for box in boxes):
        found = []
        for box in boxes:
            rows, columns = scan.box(box, str(films.path))
            mask = np.zeros(scan.shape, bool)
            mask[rows, columns] = True
            found.append(Region(rows, columns, mask))
        return found
    if any(box is not None for box in boxes):
        raise InputError(
            films.path, f"gives box_px for some films of {scan.name} only", "for all or for none"
        )
    found = find_films(scan)
    if len(found) != len(entries):
        raise InputError(
            films.path,
            f"lists {len(entries)} films on {scan.name}, where {len(found)} are seen",
            "state box_px = [left, top, right, bottom] of each",
        )
    return found


def _mean(scan: Scan, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean response without dust, and its sigma by the spread of blocks."""
    values = scan.response[chosen]
    centre = np.median(values, axis=0)
    width = 1.4826 * np.median(np.abs(values - centre), axis=0) + 1e-6
    kept = (np.abs(values - centre) <= CLIP * width).all(axis=1)
    if np.count_nonzero(kept) < 0.5 * kept.size:
        kept = np.ones(kept.size, bool)
    values = values[kept]
    used = chosen.copy()
    used[chosen] = kept
    block, count, full = blocks(scan, used)
    means = np.array([np.bincount(block, values[:, k]) / count for k in range(3)])
    spread = means[:, full].std(axis=1, ddof=1) if np.count_nonzero(full) > 3 else values.std(axis=0)
    return values.mean(axis=0), spread / np.sqrt(max(np.count_nonzero(full), 1))
