"""What a run reports about itself: statistics, energy balance, lost particles, cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from mc.run.interrupt import INTERRUPTED

MAX_IMBALANCE = 1e-6  # of deposited + escaped over emitted energy; rounding alone leaves 1e-9


@dataclass(frozen=True)
class RunReport:
    """How a dose came about.

    A value is None where a file does not state it; what is not stated is not judged.

    Parameters
    ----------
    stopped_by : {'uncertainty', 'histories', 'time', 'enough', 'interrupted'}
        Criterion that ended the run; 'enough' is the caller's.
    passes : float
        Passes over the phase-space files, all mirror images of a history counted as one use.
    groups : int
        Groups of histories that a pass is divided into (`mc.run.batch_statistics`).
    histories : int
        Original histories.
    recorded_histories : int
        Of these, histories that left a particle in the phase spaces and were transported.
    particles : int
        Phase-space particles transported.
    phase_space_reuse : float
        Uses of every phase-space particle, mirror images counted.
    transport_uncertainty, latent_uncertainty : float
        Relative sigmas of dose to medium, rms over the voxels above half the maximum: of the transport, and
        of the phase space's finite number of histories (NaN: unknown).
    transport_uncertainty_in_water, latent_uncertainty_in_water : float
        The same of dose to water, where it was scored.
    energy_balance : float
        (Deposited + escaped energy) / energy that entered the phantom.
    missed_energy_share : float
        Fraction of the source's energy that misses the phantom.
    lost_particles : int
        Particles terminated because a coordinate, direction or energy was not finite.
    stack_overflows : int
        Particles terminated because the stack was full.
    electron_steps, photon_flights : int
        Condensed-history steps, and free flights of photons.
    seed, threads, ranks : int
        As the run used them.
    resumed : int
        Number of times it was resumed from a checkpoint.
    wall_seconds, cpu_seconds : float
        Wall-clock time of all parts of the run, processor time of rank 0 [s].
    tables_sha256 : str
        Hash of the cross-section tables.
    other : mapping
        Entries of a file that this version does not know.
    """

    stopped_by: str | None = None
    passes: float | None = None
    groups: int | None = None
    histories: int | None = None
    recorded_histories: int | None = None
    particles: int | None = None
    phase_space_reuse: float | None = None
    transport_uncertainty: float | None = None
    latent_uncertainty: float | None = None
    transport_uncertainty_in_water: float | None = None
    latent_uncertainty_in_water: float | None = None
    energy_balance: float | None = None
    missed_energy_share: float | None = None
    lost_particles: int | None = None
    stack_overflows: int | None = None
    electron_steps: int | None = None
    photon_flights: int | None = None
    seed: int | None = None
    threads: int | None = None
    ranks: int | None = None
    resumed: int | None = None
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    tables_sha256: str | None = None
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """Whether the user ended the run."""
        return self.stopped_by == INTERRUPTED

    @property
    def faults(self) -> list[str]:
        """What went wrong in the transport, a phrase each."""
        found, balance = [], self.energy_balance
        if balance is not None and not abs(balance - 1.0) <= MAX_IMBALANCE:  # NaN is a fault, too
            found.append(f"energy balance is off: {balance:.8f}")
        if self.lost_particles:
            found.append(f"{self.lost_particles} lost particles")
        if self.stack_overflows:
            found.append(f"{self.stack_overflows} stack overflows")
        return found

    def to_dict(self) -> dict[str, Any]:
        """What is stated, by name, as files hold it."""
        stated = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "other"}
        return {name: value for name, value in stated.items() if value is not None} | dict(self.other)

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Self:
        """The report that a file states; any entry may be missing, and null is NaN."""
        stated = {name: float("nan") if value is None else value for name, value in stated.items()}
        known = {entry.name for entry in fields(cls)} - {"other"}
        other = {name: value for name, value in stated.items() if name not in known}
        return cls(**{name: stated[name] for name in known & stated.keys()}, other=other)
