"""The linac's head: electrons on the target in, an IAEA phase space above the jaws out.

Electrons are transported in pieces, each with a random stream of its own, and their particles go to disk in
the order of the electrons, so the file does not depend on the number of threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mc import __version__
from mc.backends.cpu import set_threads
from mc.backends.head import run_head
from mc.config import Physics
from mc.geometry.analytic import Analytic, Solid, build_analytic
from mc.machine.head_model import FWHM, Head
from mc.physics.directed import norms
from mc.provenance import provenance
from mc.run.interrupt import INTERRUPTED, Interrupt
from mc.source.phase_space import Particles, PhaseSpace
from mc.source.phase_space_writer import PhaseSpaceWriter
from mc.tables.build import energy_nodes
from mc.tables.large_angles import head_tables, head_tables_hash
from mc.transport.directional import HeadCuts
from mc.transport.head import (
    N_HEAD_COUNTERS,
    NEW,
    OUTSIDE_FIELD,
    OUTSIDE_FIELD_ENERGY,
    RECORD_COLUMNS,
    RECORDS,
    WEIGHT,
    Source,
)
from mc.transport.particle import PHOTON
from mc.transport.scoring import EMITTED, ESCAPED, HISTORIES, LOST, OVERFLOWS, QUANTUM, ROULETTE
from phantoms.errors import InputError
from phantoms.materials import Material, load_materials

# The options of patient dose, but for interactions: photons of the head are split by direction.
HEAD_PHYSICS = Physics(photon_split=1, track_repeat=1)
AIR = "air"
CHUNKS = 16  # pieces transported at once
ELECTRONS = 64  # in each
MAX_RECORDS = 8  # particles of one electron in units of the splitting number: what there must be room for
UNIT_RECORDS = 32768  # records of a piece


@dataclass
class HeadProgress:
    """How far a simulation has come, after every round; cf. `mc.run.simulate.Progress`."""

    histories: int = 0  # electrons on the target
    particles: int = 0
    share_done: float = 0.0
    elapsed: float = 0.0
    uncertainty: None = None


@dataclass(frozen=True)
class HeadRun:
    """What came of a simulation.

    Parameters
    ----------
    phase_space : PhaseSpace
    quality : dict
        Electrons, particles, efficiency, energy account and what went wrong, ready for JSON.
    """

    phase_space: PhaseSpace
    quality: dict


class HeadTransport:
    """A head made ready for transport.

    Parameters
    ----------
    head : Head
    isocentre_cm : float
        Height at which the radius of the splitting field counts.
    physics : Physics
    seed : int
        Names the random streams, with the number of each electron.
    keep_outside_field : bool
        Whether photons past the splitting field are recorded too; they carry the full weight.

    Raises
    ------
    InputError
        If the parts overlap or are made of what there is no material for.
    """

    def __init__(
        self,
        head: Head,
        isocentre_cm: float,
        physics: Physics = HEAD_PHYSICS,
        *,
        seed: int = 1,
        keep_outside_field: bool = False,
    ) -> None:
        self.head, self.seed = head, seed
        self.materials, self.geometry = head_geometry(head)
        self.tables = head_tables(self.materials, physics)
        self._norms = norms(energy_nodes(), self.tables.incoherent, self.tables.coherent)
        splitting_plane = self.geometry.splitting_plane
        self.cuts = HeadCuts(
            electron=physics.electron_cut,
            photon=physics.photon_cut,
            save=physics.range_rejection,
            number=head.splitting,
            share=1.0 / head.splitting,
            radius=head.splitting_radius_cm,
            field=isocentre_cm,
            splitting_plane=(
                math.inf if splitting_plane < 0 else float(self.geometry.planes[splitting_plane])
            ),
            scoring_plane=float(self.geometry.planes[-1]),
            symmetric=head.symmetric,
            keep_outside_field=keep_outside_field,
        )
        self._source = _source(head)
        self._headroom = MAX_RECORDS * head.splitting + UNIT_RECORDS // 4
        self._records = np.empty((CHUNKS, self._headroom + UNIT_RECORDS, RECORD_COLUMNS), np.float32)
        self.deposited = np.zeros(len(self.geometry.density), np.int64)
        self.counters = np.zeros(N_HEAD_COUNTERS, object)  # Python integers, which have no end

    def run(self, first: int, last: int) -> list[np.ndarray]:
        """Records (n, RECORD_COLUMNS) of electrons number `first` to `last`, in pieces in their order."""
        edges = np.linspace(first, last, CHUNKS + 1).astype(np.int64)
        spans = np.stack([edges[:-1], edges[1:]], axis=1)
        units: list[list[np.ndarray]] = [[] for _ in spans]
        while (spans[:, 0] < spans[:, 1]).any():
            rows = np.zeros((CHUNKS, N_HEAD_COUNTERS), np.int64)
            run_head(
                self._source, spans, self._headroom, self.seed, self.geometry, self.tables, self._norms,
                self.cuts, self.deposited, self._records, rows,
            )  # fmt: skip
            for unit, records, row in zip(units, self._records, rows, strict=True):
                unit.append(records[: row[RECORDS]].copy())
            self.counters += rows.sum(axis=0)
        return [records for unit in units for records in unit]

    def particles(self, records: np.ndarray) -> Particles:
        """Records as particles of a phase space."""
        kind, energy, x, y, u, v, w, weight = records[:, :NEW].astype(np.float64).T
        height = np.full(len(records), self.cuts.scoring_plane)
        new = records[:, NEW] > 0
        return Particles(kind.astype(np.int8) + 1, energy, x, y, height, u, v, w, weight, new)


@dataclass(frozen=True)
class Stratum:
    """A share of the electrons, and which of their particles count.

    Strata of one head use different electrons and keep different particles, each with the weight
    1 / share, so together they are the beam of all electrons.

    Parameters
    ----------
    transport : HeadTransport
    share : float
    min_cm, max_cm : float
        Distances from the axis in the isocentre plane between which photons are kept.
    photons_only : bool
        Whether charged particles are left to another stratum.
    """

    transport: HeadTransport
    share: float = 1.0
    min_cm: float = 0.0
    max_cm: float = math.inf
    photons_only: bool = False

    def run(self, first: int, last: int) -> Iterator[Particles]:
        """Particles of electrons number `first` to `last` that are kept, in pieces in their order."""
        for records in self.transport.run(first, last):
            yield self.transport.particles(self._kept(records))

    def _kept(self, records: np.ndarray) -> np.ndarray:
        if self.share == 1.0 or len(records) == 0:
            return records
        kind, _, x, y, u, v, w, _, new = records.astype(np.float64).T
        cuts = self.transport.cuts
        with np.errstate(divide="ignore", invalid="ignore"):
            path = (cuts.field - cuts.scoring_plane) / w
            distance = np.where(w > 0.0, np.hypot(x + path * u, y + path * v), np.inf)
        inside = (distance >= self.min_cm) & (distance < self.max_cm)
        kept = np.flatnonzero(np.where(kind == PHOTON, inside, not self.photons_only))
        electron = np.cumsum(new)[kept]  # a piece begins with the first record of an electron
        records = records[kept]
        records[:, NEW] = np.diff(electron, prepend=0.0) > 0
        records[:, WEIGHT] /= self.share
        return records


def strata(
    head: Head, isocentre_cm: float, physics: Physics, *, seed: int, keep_outside_field: bool
) -> tuple[Stratum, ...]:
    """The whole beam, or the core and the rest; options are those of `HeadTransport`."""
    whole = HeadTransport(head, isocentre_cm, physics, seed=seed, keep_outside_field=keep_outside_field)
    if head.core is None:
        return (Stratum(whole),)
    core = replace(
        head,
        splitting=head.core.splitting,
        splitting_radius_cm=head.core.radius_cm,
        contaminants_from_z_cm=None,
    )
    radius, share = head.core.radius_cm, head.core.share
    inner = HeadTransport(core, isocentre_cm, physics, seed=seed)
    return (
        Stratum(whole, 1.0 - share, min_cm=radius),
        Stratum(inner, share, max_cm=radius, photons_only=True),
    )


def simulate_head(
    head: Head,
    isocentre_cm: float,
    stem: str | Path,
    electrons: int,
    *,
    title: str = "",
    physics: Physics = HEAD_PHYSICS,
    seed: int = 1,
    threads: int | None = None,
    keep_outside_field: bool = False,
    on_progress: Callable[[HeadProgress], None] = lambda _: None,
) -> HeadRun:
    """Simulate a head and write its phase space, `stem`.IAEAheader and `stem`.IAEAphsp.

    Parameters
    ----------
    head : Head
    isocentre_cm : float
        Height of the isocentre, where the radius of the splitting field counts.
    stem : path
    electrons : int
        On the target; $ORIG_HISTORIES of the file.
    title : str
        Of the file.
    physics : Physics
    seed : int
    threads : int, optional
        All processors if not given; the file does not depend on it.
    keep_outside_field : bool
        See `HeadTransport`.
    on_progress : callable

    Raises
    ------
    InputError
        If the parts overlap, a material is unknown, or the files cannot be written.
    KeyboardInterrupt
        If interrupted before the first particle was scored; later an interruption ends the file early.
    """
    set_threads(threads)
    parts = strata(head, isocentre_cm, physics, seed=seed, keep_outside_field=keep_outside_field)
    transport = parts[0].transport
    started, cpu_started = time.monotonic(), time.process_time()
    constants = {"z": transport.cuts.scoring_plane}
    if not keep_outside_field and head.contaminants_from_z_cm is not None and head.core is None:
        constants["weight"] = float(np.float32(transport.cuts.share))
    done, progress = 0, HeadProgress()
    with PhaseSpaceWriter(stem, constants) as writer, Interrupt() as interrupt:
        while done < electrons and not interrupt.requested:
            last = min(electrons, done + CHUNKS * ELECTRONS)
            for part, first, end in _share_by_strata(parts, done, last):
                for particles in part.run(first, end):
                    writer.append(particles)
            done = last
            progress.histories, progress.particles = done, writer.particles
            progress.share_done, progress.elapsed = done / electrons, time.monotonic() - started
            on_progress(progress)
        if interrupt.requested and writer.particles == 0:
            raise KeyboardInterrupt
        cpu = time.process_time() - cpu_started
        quality = _quality(parts, done, writer.particles, cpu) | {
            "stopped_by": INTERRUPTED if interrupt.requested else "electrons",
            "wall_seconds": time.monotonic() - started,
            "seed": seed,
            "tables_sha256": head_tables_hash(transport.materials, physics),
            **provenance(),
        }
        space = writer.close(done, _header_text(head, transport, physics, title, quality))
    return HeadRun(space, quality)


def _share_by_strata(parts: Sequence[Stratum], first: int, last: int) -> Iterator[tuple[Stratum, int, int]]:
    """Electrons number `first` to `last` shared out to strata, none twice; as many in all as their shares."""
    start = 0.0
    for part in parts:
        low, high = (first + round(end * last) - round(end * first) for end in (start, start + part.share))
        yield part, low, high
        start += part.share


def head_geometry(head: Head) -> tuple[tuple[Material, ...], Analytic]:
    """Materials, air first, and geometry of a head.

    Raises
    ------
    InputError
        If the parts overlap or are made of what there is no material for.
    """
    library = load_materials()
    names = list(dict.fromkeys([AIR, *(part.material for part in head.parts)]))
    for name in names:
        if name not in library:
            raise InputError("head", f"no material {name!r}", "phantoms/data/materials.toml lists them")
    materials = tuple(library[name] for name in names)
    solids = [
        Solid(
            part.name,
            names.index(part.material),
            part.density or library[part.material].density,
            part.z_cm,
            part.inner_cm,
            tuple(min(radius, head.radius_cm) for radius in part.outer_cm),
        )
        for part in head.parts
    ]
    air = Solid(AIR, 0, materials[0].density, (), (), ())
    try:
        geometry = build_analytic(
            solids, head.top_cm, head.plane_z_cm, head.radius_cm, air, head.contaminants_from_z_cm
        )
    except ValueError as error:
        raise InputError("head", str(error), "correct z_cm, inner_cm and outer_cm of the parts") from None
    return materials, geometry


def _source(head: Head) -> Source:
    sigma = head.energy_fwhm_mev / FWHM
    if head.spot_fwhm_cm is None:
        return Source(head.electron_mev, sigma, False, head.spot_radius_cm, head.spot_radius_cm, head.top_cm)
    a, b = (width / FWHM for width in head.spot_fwhm_cm)
    return Source(head.electron_mev, sigma, True, a, b, head.top_cm)


def _quality(parts: Sequence[Stratum], electrons: int, particles: int, cpu: float) -> dict:
    """Efficiency and account of a simulation."""
    transports = [part.transport for part in parts]
    counters = sum(transport.counters for transport in transports)
    deposited = sum(int(transport.deposited.sum()) for transport in transports)
    emitted = int(counters[EMITTED])
    spent = deposited + int(counters[ESCAPED]) + int(counters[ROULETTE])
    first = transports[0]
    past = max(int(first.counters[HISTORIES]), 1)  # electrons of the stratum that meets the whole field
    return {
        "electrons": electrons,
        "particles": particles,
        "particles_per_electron": particles / electrons,
        "electrons_per_cpu_second": electrons / max(cpu, 1e-9),
        "cpu_seconds": cpu,
        "splitting": [transport.cuts.number for transport in transports],
        "energy_balance": 1.0 - (emitted - spent) / emitted,
        "splitting_balance": int(counters[ROULETTE]) / emitted,
        "wide_photons_per_electron": int(first.counters[OUTSIDE_FIELD]) / past,
        "wide_mev_per_electron": int(first.counters[OUTSIDE_FIELD_ENERGY]) * QUANTUM / past,
        "lost_particles": int(counters[LOST]),
        "stack_overflows": int(counters[OVERFLOWS]),
    }


def _header_text(
    head: Head, transport: HeadTransport, physics: Physics, title: str, quality: dict
) -> dict[str, str]:
    """Blocks of the IAEA header that say how the phase space came about."""
    past = "kept" if transport.cuts.keep_outside_field else "left out"
    core = ""
    if head.core is not None:
        core = (
            f"; photons within {head.core.radius_cm:g} cm there from {head.core.share:g} of the electrons, "
            f"x{head.core.splitting}"
        )
    return {
        "IAEA_INDEX": "0",
        "TITLE": title or "Linac head by mcverify",
        "MONTE_CARLO_CODE_VERSION": f"mcverify {__version__}",
        "GLOBAL_PHOTON_ENERGY_CUTOFF": f"{physics.photon_cut:g}",
        "GLOBAL_PARTICLE_ENERGY_CUTOFF": f"{physics.electron_cut:g}",
        "TRANSPORT_PARAMETERS": json.dumps(asdict(physics)),
        "COORDINATE_SYSTEM_DESCRIPTION": "cm; origin at the front of the target, z along the beam, "
        "x = X_b and y = -Y_b of the IEC 61217 beam limiting device",
        "VARIANCE_REDUCTION_TECHNIQUES": f"directional bremsstrahlung splitting x{head.splitting} into "
        f"radius {head.splitting_radius_cm:g} cm at z = {transport.cuts.field:g} cm; photons past it "
        f"{past}{core}",
        "INITIAL_SOURCE_DESCRIPTION": json.dumps(asdict(head)),
        "ADDITIONAL_NOTES": json.dumps(quality),
    }
