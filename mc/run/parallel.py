"""MPI: the sole importer of mpi4py. Serial runs get a communicator of one rank and never import it.

The environment variables of the launcher state the number of ranks. If one rank fails, all end:
`abort_on_error` handles exceptions; the MPI launcher (mpiexec, srun) notices a killed rank and ends the
others.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np

from mc.run.interrupt import SUSPENDED_CODE, SUSPENDED_LINE, Suspended
from phantoms.errors import InputError, printable

# Number of ranks: Open MPI; MPICH and Intel MPI; srun (of the job step, not of the batch script around it)
SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
RANK_VARIABLE = "PMIX_RANK"  # other PMIx launchers state only the rank
SPIN, NAP = 0.001, 0.0005  # a waiting rank polls continuously at first, then at intervals [s]
RELAY = 0.2  # for the launcher to forward the last output of ranks that it is about to end [s]
GRACE = 1.0  # head start of rank 0, so that an error of all ranks is reported once [s]


class World(Protocol):
    """All ranks of a run."""

    rank: int
    size: int

    def sum_to_all(self, array: np.ndarray) -> np.ndarray:
        """Elementwise sum over all ranks, on every rank. Exact for integers; see `sum_in_place`."""

    def sum_in_place(self, array: np.ndarray) -> None:
        """Replace an int64 array by its exact sum over all ranks, the same for any number of ranks."""

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, on every rank."""

    def broadcast_in_place(self, array: np.ndarray) -> None:
        """Replace an array by that of rank 0, of the same shape."""

    def barrier(self) -> None:
        """Wait for all ranks."""

    def abort(self, code: int) -> None:
        """End all ranks with an exit code."""


class SerialWorld:
    """The world of one rank, where every operation is the identity."""

    rank, size = 0, 1

    def sum_to_all(self, array: np.ndarray) -> np.ndarray:
        return np.array(array)

    def sum_in_place(self, array: np.ndarray) -> None:
        _check_int64(array)

    def broadcast(self, value: Any) -> Any:
        return value

    def broadcast_in_place(self, array: np.ndarray) -> None:
        pass

    def barrier(self) -> None:
        pass

    def abort(self, code: int) -> None:
        sys.exit(code)


class MpiWorld:
    """The ranks of an MPI launcher.

    MPI libraries wait in a busy loop, which takes processor time from other processes, perhaps from the very
    rank that is waited for. Ranks therefore pass a `barrier` that sleeps before every collective operation.
    """

    def __init__(self, mpi: Any) -> None:
        self._mpi, self._comm = mpi, mpi.COMM_WORLD
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()

    def sum_to_all(self, array: np.ndarray) -> np.ndarray:
        total = np.ascontiguousarray(array).copy()
        self.barrier()
        self._comm.Allreduce(self._mpi.IN_PLACE, total, op=self._mpi.SUM)
        return total

    def sum_in_place(self, array: np.ndarray) -> None:
        _check_int64(array)
        self.barrier()
        self._comm.Allreduce(self._mpi.IN_PLACE, array, op=self._mpi.SUM)

    def broadcast(self, value: Any) -> Any:
        self.barrier()
        return self._comm.bcast(value, root=0)

    def broadcast_in_place(self, array: np.ndarray) -> None:
        self._comm.Bcast(array, root=0)

    def barrier(self) -> None:
        arrived, spin_until = self._comm.Ibarrier(), time.monotonic() + SPIN
        while not arrived.Test():
            if time.monotonic() > spin_until:
                time.sleep(NAP)

    def abort(self, code: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(RELAY)
        self._comm.Abort(code)


@cache
def world() -> World:
    """The ranks this process was launched with; InputError if they cannot reach each other."""
    launched = launched_ranks(os.environ)
    if launched == 1:
        return SerialWorld()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI library
        problem = f"launched by an MPI launcher, but mpi4py cannot be loaded: {error}"
        raise InputError("MPI", problem, "pip install 'mcverify[mpi]', beside an MPI library") from None
    ranks = MpiWorld(MPI)
    if launched is not None and ranks.size != launched:
        # Each rank would do the whole run, and overwrite the results of the others.
        raise InputError(
            "MPI",
            f"the launcher started {launched} ranks but mpi4py sees {ranks.size}",
            "mpi4py uses another MPI than this mpiexec or srun: load the MPI it was built for",
        )
    return ranks


def launched_ranks(environment: Mapping[str, str]) -> int | None:
    """Number of ranks by the launcher's environment; 1 without a launcher, None if it is not stated."""
    sizes = [environment.get(name, "") for name in SIZE_VARIABLES]
    known = [int(size) for size in sizes if size.isdigit()]
    if not known and RANK_VARIABLE in environment:
        return None
    return max(known, default=1)


@contextmanager
def abort_on_error(ranks: World) -> Iterator[None]:
    """If one rank raises an exception, end all with one line and exit code 2, or that of `Suspended`.

    With a single rank the exception propagates to the caller. With several, the others would wait for this
    one for ever, so the message is printed here and all are ended.
    """
    try:
        yield
    except BaseException as error:
        if ranks.size == 1:
            raise
        if isinstance(error, SystemExit):  # its cause has been reported already
            if error.code:
                ranks.abort(error.code if isinstance(error.code, int) else 2)
            raise
        if ranks.rank > 0:
            time.sleep(GRACE)
        print(f"mcverify: {printable(_one_line(error, ranks.rank))}", file=sys.stderr)
        ranks.abort(SUSPENDED_CODE if isinstance(error, Suspended) else 2)


def _one_line(error: BaseException, rank: int) -> str:
    """One line about an exception."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, Suspended):
        return SUSPENDED_LINE
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"rank {rank}: internal error: {type(error).__name__}: {error}{where}"


def _check_int64(array: np.ndarray) -> None:
    if array.dtype != np.int64 or not array.flags.c_contiguous:
        raise TypeError("only a contiguous int64 array is summed in place")
