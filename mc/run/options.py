"""Options of a run, from the command line or a Python call down to the kernels."""

from __future__ import annotations

from dataclasses import dataclass, field

from mc.config import Physics
from mc.run import parallel
from mc.run.checkpoint import CheckpointRule
from mc.run.parallel import World


@dataclass(frozen=True)
class StopRule:
    """When a run stops: as soon as one of the criteria that are given is met.

    Parameters
    ----------
    uncertainty : float, optional
        Relative transport sigma, rms over the voxels above half the maximum dose; 0.01 is 1 %.
    histories : int, optional
        Original histories, those of every pass over the phase spaces counted.
    max_time : float, optional
        Wall-clock time over all parts of a resumed run [s].
    """

    uncertainty: float | None = 0.01
    histories: int | None = None
    max_time: float | None = None


@dataclass(frozen=True)
class RunOptions:
    """How a dose is computed.

    The result is the same, bit for bit, for any `threads`, `checkpoint` and `world`.

    Parameters
    ----------
    physics : Physics
        Cut-off energies, step lengths and variance reduction of the transport.
    stop : StopRule
        By default at a transport sigma of 1 %.
    seed : int
        Seed of the random streams; 1 by default.
    threads : int, optional
        Threads of each rank; one for every core by default.
    dose_to_water : bool
        Whether dose to water is scored beside dose to medium; not by default. Stop rule and energy balance
        refer to dose to medium in any case.
    checkpoint : CheckpointRule, optional
        File and interval of the checkpoints, from which a run is resumed; none by default.
    world : World, optional
        MPI ranks that share the work; by default those this process was launched with.
    """

    physics: Physics = Physics()
    stop: StopRule = StopRule()
    seed: int = 1
    threads: int | None = None
    dose_to_water: bool = False
    checkpoint: CheckpointRule | None = None
    world: World | None = field(default=None, repr=False)

    @property
    def ranks(self) -> World:
        """The MPI ranks: `world`, or those this process was launched with.

        Raises
        ------
        InputError
            If the launched ranks cannot reach each other.
        """
        return self.world or parallel.world()
