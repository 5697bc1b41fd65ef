"""Cases of kind `leaves`: leaf patterns of a shipped machine against explicit transport; mean transmission.

Photons from a point, uniform over the field, pass jaws at 10 x 10 cm and the leaves in both ways: that of
`mc.transport.collimation` and the full transport of `explicit_collimator`. Judged is the energy fluence in
the isocentre plane along and across the motion of the leaves, in parts of the open field's. The mean
transmission is the dose through closed leaves over that of the open field, averaged over the middle of a
10 x 10 cm field at 5 cm depth in water at an SSD of 95 cm (the conditions of Kim et al., Med Phys 28 (2001)
2497).
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mc.config import Physics
from mc.machine.collimator_geometry import build_collimator, collimator_materials
from mc.machine.collimators import Leaves
from mc.machine.machine import SHIPPED, Machine, read_machine
from mc.source.beams import spectrum
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from phantoms.recipes import water_tank
from phantoms.schema import Table
from validation.engine import figures
from validation.engine.case import Case
from validation.engine.collimated import at_plane, collimated, fan, tank_dose
from validation.engine.explicit_collimator import explicit, place_solids
from validation.engine.judge import family_allowance
from validation.engine.tank import read_bins, spectrum_names
from validation.engine.verdict import Check, Options, Verdict

FIELD = np.array([-5.0, 5.0, -5.0, 5.0])  # jaws [cm]
OPENING = 4.0  # half of it, in the patterns [cm]
ASIDE = 8.0  # where closed leaves meet, beyond the field [cm]
LIT = 5.3  # half the side of the square that photons are sent to [cm]
BINS = np.linspace(-5.0, 5.0, 41)  # of the profiles [cm]
INSIDE = 3.0  # profiles are of what lies nearer to their line [cm]
LIMIT, NEAR = 1.0, 0.03  # [% of open], or a distance to agreement [cm]
TRANSMISSION_LIMIT = 0.2  # [percentage points]
PHYSICS = Physics(photon_cut=0.01)
CUTS = Cuts(PHYSICS.electron_cut, PHYSICS.photon_cut)
TRANSMITTED = 4  # times as many photons are sent for the transmission


@dataclass(frozen=True)
class Profile:
    """Energy fluence in `BINS` per photon sent, in both ways, and the sigma of the difference."""

    ours: np.ndarray
    explicit: np.ndarray
    sigma: np.ndarray
    mean_sigma: float  # of the difference of their means

    def deviation(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Ours less the explicit, less what a shift by `NEAR` explains, and its sigma [% of `level`]."""
        off = self.ours - self.explicit
        slope = NEAR * np.abs(np.gradient(self.ours, BINS[1] - BINS[0]))
        off = np.sign(off) * np.maximum(0.0, np.abs(off) - slope)
        return 100.0 * off / level, 100.0 * np.maximum(self.sigma, 1e-3 * level) / level

    def mean(self, level: float) -> tuple[float, float]:
        """Mean difference over the profile and its sigma [% of `level`]."""
        return 100.0 * (self.ours - self.explicit).mean() / level, 100.0 * self.mean_sigma / level


def patterns(leaves: Leaves) -> dict[str, list[np.ndarray]]:
    """Leaf positions (2 * pairs,) by pattern; a pattern of several is their sum, in equal parts."""
    pairs = leaves.pairs
    centres = 0.5 * (np.array(leaves.boundaries_cm[1:]) + leaves.boundaries_cm[:-1])

    def slit(low, high) -> np.ndarray:
        return np.concatenate([np.broadcast_to(low, pairs), np.broadcast_to(high, pairs)]).astype(float)

    odd = np.arange(pairs) % 2 == 1
    right = np.where(centres < -1.5, OPENING, np.where(centres < 1.5, -1.0, 1.0))
    return {
        "open": [slit(-OPENING, OPENING)],
        "closed": [slit(1.0, 1.0)],
        "picket fence": [slit(x - 0.25, x + 0.25) for x in (-4.0, -2.0, 0.0, 2.0, 4.0)],
        "chair": [slit(np.where(centres < 1.5, -OPENING, -1.0), right)],
        "tongue and groove": [
            slit(np.where(shut, ASIDE, -OPENING), np.where(shut, ASIDE, OPENING)) for shut in (odd, ~odd)
        ],
        "sweeping 10 mm gap": [slit(x - 0.5, x + 0.5) for x in np.linspace(-4.0, 4.0, 17)],
    }


class Bench:
    """A machine made ready for both methods.

    Parameters
    ----------
    machine : Machine
    edges, cumulative : (bins + 1,) float64
        Spectrum, as of `mc.source.beams.Beam`.
    """

    def __init__(self, machine: Machine, edges: np.ndarray, cumulative: np.ndarray) -> None:
        self.machine, self.edges, self.cumulative = machine, edges, cumulative
        self.materials = collimator_materials(machine.collimators)
        self.collimator = build_collimator(machine, self.materials)
        self.tables = build_tables(self.materials, PHYSICS)

    def photons(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """`n` photons above the collimators, each a history."""
        top = min(block.top_cm for block in (*self.machine.collimators.jaws, self.machine.collimators.leaves))
        sad = self.machine.sad_cm
        return fan(n, LIT, self.edges, self.cumulative, seed, sad=sad, z=top - 1.0), np.arange(n + 1)

    def profiles(self, positions: list[np.ndarray], n: int) -> dict[str, Profile]:
        """Profiles of a pattern from `n` photons in all, along and across the leaves."""
        each, parts, sad = n // len(positions), self.machine.collimators, self.machine.sad_cm
        rows, of = ([], []), ([], [])
        for k, leaves in enumerate(positions):
            photons, starts = self.photons(each, k + 1)
            solids = place_solids(parts, self.materials, sad, FIELD, leaves)
            ours = collimated(photons, starts, self.collimator, FIELD, leaves, self.tables, CUTS)
            for method, (found, history) in enumerate(
                (ours, explicit(photons, starts, solids, self.tables, CUTS))
            ):
                photon = found[:, 0] == PHOTON
                rows[method].append(found[photon])
                of[method].append(history[photon] + k * each)
        count = np.array([len(np.concatenate(part)) for part in rows])
        found, history = np.concatenate(rows[0] + rows[1]), np.concatenate(of[0] + of[1])
        score = found[:, 1] * found[:, 8] / (each * len(positions))
        sign = np.repeat([1.0, -1.0], count)
        s, q = at_plane(found, sad)
        if parts.leaves.axis == "Y":
            s, q = q, s
        return {
            "along the leaves": _profile(s, q, score, sign, history),
            "across the leaves": _profile(q, s, score, sign, history),
        }

    def transmission(self, n: int, options: Options) -> tuple[float, float]:
        """Dose through closed leaves over that through open ones, and its sigma [%]."""
        pairs = self.machine.collimators.leaves.pairs
        phantom = water_tank((15.0, 20.0, 20.0), (1.0, 1.0, 1.0))
        region = (slice(4, 6), slice(6, 14), slice(6, 14))  # 4 to 6 cm deep, the middle 8 x 8 cm
        doses = []
        for where, share in ((-2.0 * ASIDE, 0.05), (ASIDE, 1.0)):
            photons, starts = self.photons(int(share * n), 7)
            leaves = np.concatenate([np.full(pairs, where), np.full(pairs, abs(where))])
            rows, history = collimated(photons, starts, self.collimator, FIELD, leaves, self.tables, CUTS)
            with tempfile.TemporaryDirectory() as folder:
                run = tank_dose(
                    phantom, rows, history, len(photons), 95.0, PHYSICS, Path(folder), threads=options.threads
                )
            dose, latent = run.dose, run.dose.latent
            sigma = np.hypot(dose.sigma, latent)[region]
            # neighbours share photons; half of a photon's dose is within a few voxels
            doses.append((dose.mean[region].mean(), np.sqrt(8.0 * (sigma**2).sum()) / sigma.size))
        (opened, open_sigma), (closed, closed_sigma) = doses
        ratio = 100.0 * closed / opened
        return ratio, ratio * float(np.hypot(closed_sigma / closed, open_sigma / opened))


def _profile(
    along: np.ndarray, off: np.ndarray, score: np.ndarray, sign: np.ndarray, history: np.ndarray
) -> Profile:
    """Profile of what lies within `INSIDE` of the line; arrays (m,); `sign` is -1 for the explicit method."""
    bins = len(BINS) - 1
    place = np.searchsorted(BINS, along, side="right") - 1
    kept = (abs(off) < INSIDE) & (place >= 0) & (place < bins)
    place, score, sign, history = place[kept], score[kept], sign[kept], history[kept]
    # a history's particles in a bin, of both methods, count together: most photons cancel
    pairs, of = np.unique(history * bins + place, return_inverse=True)
    squares = np.bincount(of, score * sign) ** 2
    whole = np.bincount(history, score * sign)
    return Profile(
        np.bincount(place[sign > 0], score[sign > 0], bins),
        np.bincount(place[sign < 0], score[sign < 0], bins),
        np.sqrt(np.bincount(pairs % bins, squares, bins)),
        float(np.sqrt((whole**2).sum()) / bins),
    )


def run(case: Case, options: Options) -> Verdict:
    """Compare every pattern, and the transmission with the published one."""
    table = case.table()
    machine = read_machine(SHIPPED / f"{table.text('machine')}.toml")
    published = table.number("transmission_percent", above=0)
    counts = table.table("photons")
    n = int(counts.number("quick" if options.quick else "full", above=0))
    counts.number("full" if options.quick else "quick", above=0)
    counts.finish()
    edges, cumulative = _spectrum(table)
    table.finish()
    started = time.process_time()
    bench = Bench(machine, edges, cumulative)
    checks, drawn, level = [], {}, 0.0
    for name, positions in patterns(machine.collimators.leaves).items():
        drawn[name] = bench.profiles(positions, n)
        if name == "open":
            level = float(drawn[name]["along the leaves"].ours[15:25].mean())
        for line, profile in drawn[name].items():
            off, sigma = profile.deviation(level)
            worst = int(np.argmax((np.abs(off) - LIMIT) / sigma))
            allowance = family_allowance(len(off))
            checks.append(Check(f"{name}, {line}", off[worst], LIMIT, sigma[worst], "%", allowance))
        mean, sigma = drawn[name]["along the leaves"].mean(level)
        checks.append(Check(f"{name}, mean", mean, LIMIT, sigma))
    transmission, sigma = bench.transmission(TRANSMITTED * n, options)
    off = transmission - published
    checks.append(Check("transmission less published", off, TRANSMISSION_LIMIT, sigma))
    return Verdict(
        case.name,
        tuple(checks),
        PHYSICS,
        float(2 * len(drawn) * n),
        time.process_time() - started,
        {"transmission_percent": transmission, "transmission_sigma": sigma},
        lambda path: figures.draw_leaves(path, case.title, BINS, drawn, level),
    )


def _spectrum(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """The spectrum that a case names, of `spectra.toml`."""
    edges, counts = read_bins(table.choice("spectrum", spectrum_names()))
    edges[0] = PHYSICS.photon_cut
    return spectrum(edges, counts)
