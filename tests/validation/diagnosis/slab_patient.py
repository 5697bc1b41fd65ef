"""A made-up patient whose dose is written down rather than transported: primary photons of a few beams.

Every planning-system error can be planted in it, and truth is known; nothing of the diagnosis is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import erf

from mc.dose import Dose
from mc.plan.plan import Beam, ControlPoint, Plan, Prescription, beam_to_patient
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from phantoms.structures import ROI, StructureSet

GRID = Grid((36, 40, 52), (0.5, 0.5, 0.5), (-8.75, -9.75, -12.75))
HALF = (11.0, 8.0, 9.0)  # of the body along x, y, z [cm]
STEP, LONGEST = 0.5, 30.0  # along rays [cm]
MU = 0.05  # attenuation of water [cm2/g]
SAD = 100.0
NOISE = 0.015
# name, lower and upper corner (x, y, z) [cm], density
BONE = ("Vertebra", (-2.0, 1.5, -9.0), (2.0, 5.0, 9.0), 1.35)
LIVER = ("Liver", (-9.0, -5.0, -6.0), (-3.5, 1.0, 6.0), 1.05)
COUCH = ("Couch", (-26.0, 8.25, -9.0), (26.0, 9.25, 9.0), 0.7)


@dataclass(frozen=True)
class Truth:
    """What a dose is computed with.

    Parameters
    ----------
    densities : dict of str to float
        In place of those of the parts.
    couch : bool
    attenuation : float
        [cm2/g]
    profile : float
        Relative change of the fluence 5 cm off the axis, with the square of the distance.
    shift : (float, float, float)
        Of the isocentre, LPS [cm].
    output : float
    beams : dict of int to float
        Factors on the monitor units of single beams.
    """

    densities: dict = field(default_factory=dict)
    couch: bool = False
    attenuation: float = MU
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    profile: float = 0.0
    output: float = 1.0
    beams: dict = field(default_factory=dict)


def box(name: str, number: int, kind: str, lower, upper, **more) -> ROI:
    planes = np.arange(lower[2] + 0.25, upper[2], 0.5)
    corners = [(lower[0], lower[1]), (upper[0], lower[1]), (upper[0], upper[1]), (lower[0], upper[1])]
    contours = tuple(np.array([(*corner, plane) for corner in corners]) for plane in planes)
    return ROI(number, name, kind, (0, 255, 0), contours, 0.5, **more)


def structures(couch: bool = False, **physical) -> StructureSet:
    """BODY, the parts, and the couch as SUPPORT; `physical` properties of the vertebra."""
    rois = [
        box("BODY", 1, "EXTERNAL", [-h for h in HALF], HALF),
        box(*(BONE[0], 2, "ORGAN"), *BONE[1:3], physical=physical),
        box(*(LIVER[0], 3, "ORGAN"), *LIVER[1:3]),
    ]
    if couch:
        rois.append(box(COUCH[0], 4, "SUPPORT", *COUCH[1:3]))
    return StructureSet(tuple(rois), "RS", "1.2.5", "1.2.4", "P", "", frozenset(), "RTSTRUCT.dcm")


def plan(gantries=(180.0, 140.0, 220.0, 90.0, 270.0), arc: bool = False) -> Plan:
    """Static beams, or an arc from the first to the last angle."""

    def point(weight, gantry):
        return ControlPoint(weight, gantry, 0.0, 0.0, (0.0, 1.0, 0.0), (-3.0, 3.0, -2.5, 2.5))

    if arc:
        steps = np.linspace(0.0, 1.0, 13)
        points = [tuple(point(f, gantries[0] + f * (gantries[-1] - gantries[0])) for f in steps)]
    else:
        points = [(point(0.0, gantry), point(1.0, gantry)) for gantry in gantries]
    beams = tuple(
        Beam(k, f"G{pair[0].gantry:g}", "LINAC", 6.0, "FFF", 200.0, SAD, pair)
        for k, pair in enumerate(points, start=1)
    )
    prescriptions = (Prescription(16.0, 2, "Vertebra"),)
    return Plan("P", "1.2.3", "P", "TPS", "1.2.4", "1.2.5", "HFS", 3, prescriptions, "LINAC", beams)


def density_at(points: np.ndarray, truth: Truth) -> np.ndarray:
    """Density at LPS points (..., 3) [g/cm3]."""
    found = np.where((np.abs(points) <= HALF).all(axis=-1), truth.densities.get("BODY", 1.0), 0.0)
    parts = [BONE, LIVER] + [COUCH] * truth.couch
    for name, lower, upper, density in parts:
        inside = ((points >= lower) & (points <= upper)).all(axis=-1)
        found = np.where(inside, truth.densities.get(name, density), found)
    return found


def dose(treatment: Plan, truth: Truth, grid: Grid = GRID) -> np.ndarray:
    """Dose of the course [Gy]: fields of primary photons, and a little scatter about them."""
    z, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    points = points[inside := (np.abs(points) <= HALF).all(axis=1)]
    total = np.zeros(len(points))
    for index, beam in enumerate(treatment.beams):
        share = truth.beams.get(index, 1.0) * beam.mu * treatment.fractions * 0.012
        for first, last in beam.segments:
            middle = replace(first, gantry=0.5 * (first.gantry + last.gantry))
            rotation, source = beam_to_patient(beam, "HFS", middle)
            source = source + truth.shift
            path = points - source
            local = path @ rotation
            u, v = (SAD * local[:, k] / local[:, 2] for k in (0, 1))
            field = 1.0
            for value, half in ((u, 3.0), (v, 2.5)):
                field = field * 0.5 * (erf((value + half) / 0.45) - erf((value - half) / 0.45))
            field = field * (1.0 + truth.profile * (u**2 + v**2) / 25.0) + 0.003  # scatter
            seen = field > 0.005
            steps = STEP * path[seen] / np.linalg.norm(path[seen], axis=1, keepdims=True)
            depth = np.zeros(len(steps))
            for k in range(int(LONGEST / STEP)):  # from the point back towards the source
                depth += STEP * density_at(points[seen] - (k + 0.5) * steps, truth)
            primary = (SAD / local[seen, 2]) ** 2 * np.exp(-truth.attenuation * (depth - 10.0))
            total[seen] += share * (last.weight - first.weight) * field[seen] * primary
    whole = np.zeros(grid.shape)
    whole[inside.reshape(grid.shape)] = truth.output * total
    return whole


def monte_carlo(mean: np.ndarray, noise: float = NOISE, seed: int = 3) -> Dose:
    """`mean` with noise as a run has it: relatively larger where there is less dose."""
    sigma = noise * np.sqrt(np.maximum(mean, 0.0) * mean.max())
    noisy = mean + sigma * np.random.default_rng(seed).standard_normal(mean.shape)
    return Dose(GRID, noisy, sigma, 0.0)


def phantom(truth: Truth = Truth()) -> Phantom:
    """The patient as Monte Carlo sees it."""
    z, y, x = np.meshgrid(*(GRID.centres(axis) for axis in range(3)), indexing="ij")
    density = np.maximum(density_at(np.stack([x, y, z], axis=-1), truth), 0.00121)
    materials = load_materials()
    return Phantom(
        GRID, density, (density > 0.01).astype(np.uint8), (materials["air"], materials["water"]), {}
    )
