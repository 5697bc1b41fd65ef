"""The linac's head: electrons on the target in, an IAEA phase space above the jaws out.

Every electron has a random stream of its own, and the particles are written in the order of the electrons, so
the file does not depend on the number of threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

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
from mc.run.progress import Listener, Progress
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
from phantoms.listing import Listing
from phantoms.materials import Material, load_materials
from phantoms.views import Artists, Axes

# That of patient dose, but analogue interactions: photons of a head are split by direction instead.
HEAD_PHYSICS = Physics(photon_split=1, track_repeat=1)
AIR = "air"
CHUNKS = 16  # of electrons, transported concurrently
ELECTRONS = 64  # per chunk
MAX_RECORDS = 8  # records of one electron, in units of the splitting number, for which there must be memory
UNIT_RECORDS = 32768  # records of a chunk
# names of entries of `HeadReport` in files, where they are other ones
IN_FILES = {
    "outside_photons_per_electron": "wide_photons_per_electron",
    "outside_mev_per_electron": "wide_mev_per_electron",
}


@dataclass(frozen=True)
class HeadOptions:
    """How a head is simulated; cf. `mc.run.options.RunOptions` for doses.

    Parameters
    ----------
    physics : Physics
        By default the cut-off energies and step lengths of patient dose, without its variance reduction.
    seed : int
        Seed of the random streams; 1 by default. The cache of heads depends on it.
    threads : int, optional
        One for every core by default; the phase space does not depend on it.
    keep_outside_field : bool
        Whether photons outside the splitting field are recorded too, with the full weight; not by default.
    """

    physics: Physics = HEAD_PHYSICS
    seed: int = 1
    threads: int | None = None
    keep_outside_field: bool = False


@dataclass(frozen=True)
class HeadReport:
    """How the phase space of a head came about.

    Parameters
    ----------
    electrons : int
        On the target.
    particles : int
        In the phase space.
    particles_per_electron, electrons_per_cpu_second : float
    cpu_seconds, wall_seconds : float
        Processor and wall-clock time [s].
    splitting : list of int
        Splitting number of each stratum (`Stratum`).
    energy_balance : float
        (Deposited + escaped energy + balance of Russian roulette) / emitted energy.
    splitting_balance : float
        Energy removed by Russian roulette less that added by splitting, over emitted energy: 0 except for
        noise.
    outside_photons_per_electron, outside_mev_per_electron : float
        Number and energy [MeV] of the photons outside the splitting field, per electron.
    lost_particles : int
        Particles terminated because a coordinate, direction or energy was not finite.
    stack_overflows : int
        Particles terminated because the stack was full.
    stopped_by : {'electrons', 'interrupted'}
    seed : int
    tables_sha256 : str
        Hash of the cross-section tables.
    software : mapping of str to str
        `mc.provenance.provenance` of the run.
    """

    electrons: int
    particles: int
    particles_per_electron: float
    electrons_per_cpu_second: float
    cpu_seconds: float
    splitting: list[int]
    energy_balance: float
    splitting_balance: float
    outside_photons_per_electron: float
    outside_mev_per_electron: float
    lost_particles: int
    stack_overflows: int
    stopped_by: str
    wall_seconds: float
    seed: int
    tables_sha256: str
    software: Mapping[str, str]

    @property
    def interrupted(self) -> bool:
        """Whether the user ended the simulation before all electrons were transported."""
        return self.stopped_by == INTERRUPTED

    def to_dict(self) -> dict[str, Any]:
        """The entries by their names in files, those of `software` among them, ready for JSON."""
        entries = {IN_FILES.get(entry.name, entry.name): getattr(self, entry.name) for entry in fields(self)}
        return entries | dict(entries.pop("software"))


@dataclass(frozen=True)
class HeadRun:
    """Result of a simulation.

    Parameters
    ----------
    phase_space : PhaseSpace
    report : HeadReport
    """

    phase_space: PhaseSpace
    report: HeadReport

    def plot(self, axes: Axes, what: str = "spectrum", plane_z_cm: float = 100.0) -> Artists:
        """Draw one picture of the particles; see `mc.source.phase_space.PhaseSpace.plot`."""
        return self.phase_space.plot(axes, what, plane_z_cm)

    def _repr_html_(self) -> str:
        report = self.report
        facts = [
            ("electrons on the target", f"{report.electrons:,}, stopped by {report.stopped_by}"),
            ("particles per electron", f"{report.particles_per_electron:.2f}"),
            ("energy balance", f"{report.energy_balance:.9f}"),
            ("time", f"{report.wall_seconds:.1f} s"),
        ]
        return self.phase_space._repr_html_() + Listing.facts("Simulation", facts)._repr_html_()


class HeadTransport:
    """A head prepared for transport.

    Parameters
    ----------
    head : Head
    isocentre_cm : float
        z of the plane in which the radius of the splitting field is defined.
    options : HeadOptions

    Raises
    ------
    InputError
        If the parts overlap or a material is unknown.
    """

    def __init__(self, head: Head, isocentre_cm: float, options: HeadOptions = HeadOptions()) -> None:
        physics = options.physics
        self.head, self.seed = head, options.seed
        self.materials, self.geometry = head_geometry(head)
        self.tables = head_tables(self.materials, physics)
        self._norms = norms(energy_nodes(), self.tables.incoherent, self.tables.coherent)
        splitting_plane = self.geometry.splitting_plane
        self.cuts = HeadCuts(
            electron_cut=physics.electron_cut,
            photon_cut=physics.photon_cut,
            range_rejection=physics.range_rejection,
            number=head.splitting,
            share=1.0 / head.splitting,
            radius=head.splitting_radius_cm,
            field=isocentre_cm,
            splitting_plane=(
                math.inf if splitting_plane < 0 else float(self.geometry.planes[splitting_plane])
            ),
            scoring_plane=float(self.geometry.planes[-1]),
            symmetric=head.symmetric,
            keep_outside_field=options.keep_outside_field,
        )
        self._source = _source(head)
        self._headroom = MAX_RECORDS * head.splitting + UNIT_RECORDS // 4
        self._records = np.empty((CHUNKS, self._headroom + UNIT_RECORDS, RECORD_COLUMNS), np.float32)
        self.deposited = np.zeros(len(self.geometry.density), np.int64)
        self.counters = np.zeros(N_HEAD_COUNTERS, object)  # Python integers, which have no end

    def run(self, first: int, last: int) -> list[np.ndarray]:
        """Records (n, RECORD_COLUMNS) of electrons number `first` to `last`, in parts in their order."""
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
    """A fraction of the electrons, and the particles that are kept of them.

    Strata of one head use different electrons and keep different particles, each with the weight
    1 / share, so that together they represent the beam of all electrons.

    Parameters
    ----------
    transport : HeadTransport
    share : float
        Fraction of the electrons.
    min_cm, max_cm : float
        Distances from the axis in the isocentre plane between which photons are kept.
    photons_only : bool
        Whether charged particles are discarded, since another stratum keeps them.
    """

    transport: HeadTransport
    share: float = 1.0
    min_cm: float = 0.0
    max_cm: float = math.inf
    photons_only: bool = False

    def run(self, first: int, last: int) -> Iterator[Particles]:
        """Particles of electrons number `first` to `last` that are kept, in parts in their order."""
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
        electron = np.cumsum(new)[kept]  # a part begins with the first record of an electron
        records = records[kept]
        records[:, NEW] = np.diff(electron, prepend=0.0) > 0
        records[:, WEIGHT] /= self.share
        return records


def strata(head: Head, isocentre_cm: float, options: HeadOptions) -> tuple[Stratum, ...]:
    """The whole beam as one stratum, or the core and the rest as two; cf. `HeadTransport`."""
    whole = HeadTransport(head, isocentre_cm, options)
    if head.core is None:
        return (Stratum(whole),)
    core = replace(
        head,
        splitting=head.core.splitting,
        splitting_radius_cm=head.core.radius_cm,
        contaminants_from_z_cm=None,
    )
    radius, share = head.core.radius_cm, head.core.share
    inner = HeadTransport(core, isocentre_cm, replace(options, keep_outside_field=False))
    return (
        Stratum(whole, 1.0 - share, min_cm=radius),
        Stratum(inner, share, max_cm=radius, photons_only=True),
    )


def simulate_head(
    head: Head,
    isocentre_cm: float,
    stem: str | Path,
    electrons: int,
    options: HeadOptions = HeadOptions(),
    *,
    title: str = "",
    listener: Listener = Listener(),
) -> HeadRun:
    """Simulate a head and write its phase space, `stem`.IAEAheader and `stem`.IAEAphsp.

    Parameters
    ----------
    head : Head
    isocentre_cm : float
        z of the isocentre, in whose plane the radius of the splitting field is defined.
    stem : path
    electrons : int
        Number of electrons on the target; $ORIG_HISTORIES of the file.
    options : HeadOptions
    title : str
        Of the file.
    listener : Listener

    Raises
    ------
    InputError
        If the parts overlap, a material is unknown, or the files cannot be written.
    KeyboardInterrupt
        If interrupted before the first particle was scored; a later interruption ends the file early.
    """
    set_threads(options.threads)
    parts = strata(head, isocentre_cm, options)
    transport = parts[0].transport
    started, cpu_started = time.monotonic(), time.process_time()
    done, progress = 0, Progress()
    with PhaseSpaceWriter(stem, _constants(head, transport, options)) as writer, Interrupt() as interrupt:
        while done < electrons and not interrupt.requested:
            last = min(electrons, done + CHUNKS * ELECTRONS)
            for part, first, end in _share_by_strata(parts, done, last):
                for particles in part.run(first, end):
                    writer.append(particles)
            done = last
            progress.histories = done
            progress.share_done, progress.elapsed = done / electrons, time.monotonic() - started
            listener.progress(progress)
        if interrupt.requested and writer.particles == 0:
            raise KeyboardInterrupt
        cpu = time.process_time() - cpu_started
        report = HeadReport(
            electrons=done,
            particles=writer.particles,
            particles_per_electron=writer.particles / done,
            electrons_per_cpu_second=done / max(cpu, 1e-9),
            cpu_seconds=cpu,
            stopped_by=INTERRUPTED if interrupt.requested else "electrons",
            wall_seconds=time.monotonic() - started,
            seed=options.seed,
            tables_sha256=head_tables_hash(transport.materials, options.physics),
            software=provenance(),
            **_balances([part.transport for part in parts]),
        )
        space = writer.close(done, _header_text(transport, options.physics, title, report))
    return HeadRun(space, report)


def _constants(head: Head, transport: HeadTransport, options: HeadOptions) -> dict[str, float]:
    """Quantities that are the same for all particles of the phase space."""
    constants = {"z": transport.cuts.scoring_plane}
    if not options.keep_outside_field and head.contaminants_from_z_cm is not None and head.core is None:
        constants["weight"] = float(np.float32(transport.cuts.share))
    return constants


def _share_by_strata(parts: Sequence[Stratum], first: int, last: int) -> Iterator[tuple[Stratum, int, int]]:
    """Distribute electrons number `first` to `last` over the strata, in proportion to their shares."""
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
        If the parts overlap or a material is unknown.
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


def _balances(transports: Sequence[HeadTransport]) -> dict[str, Any]:
    """Entries of the report that follow from the counters of the strata."""
    counters = sum(transport.counters for transport in transports)
    deposited = sum(int(transport.deposited.sum()) for transport in transports)
    emitted = int(counters[EMITTED])
    spent = deposited + int(counters[ESCAPED]) + int(counters[ROULETTE])
    outer = transports[0].counters  # of the stratum that covers the outside of the splitting field
    electrons = max(int(outer[HISTORIES]), 1)
    return {
        "splitting": [transport.cuts.number for transport in transports],
        "energy_balance": 1.0 - (emitted - spent) / emitted,
        "splitting_balance": int(counters[ROULETTE]) / emitted,
        "outside_photons_per_electron": int(outer[OUTSIDE_FIELD]) / electrons,
        "outside_mev_per_electron": int(outer[OUTSIDE_FIELD_ENERGY]) * QUANTUM / electrons,
        "lost_particles": int(counters[LOST]),
        "stack_overflows": int(counters[OVERFLOWS]),
    }


def _header_text(
    transport: HeadTransport, physics: Physics, title: str, report: HeadReport
) -> dict[str, str]:
    """Blocks of the IAEA header that state how the phase space came about."""
    head = transport.head
    outside = "kept" if transport.cuts.keep_outside_field else "left out"
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
        f"{outside}{core}",
        "INITIAL_SOURCE_DESCRIPTION": json.dumps(asdict(head)),
        "ADDITIONAL_NOTES": json.dumps(report.to_dict()),
    }
