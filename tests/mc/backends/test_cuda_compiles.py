"""The transport compiles for a GPU: to PTX for sm_90 without a device, within what one thread can take.

Needs the extra `cuda`. `cuda_resources.json` holds, for each kernel, the registers of a thread and the bytes
it spills, as ptxas reports them, and the bytes of the kernel's parameters. The last entry of a kernel's list
is the one in force. Where a kernel comes to spill more, a new entry gives the reason.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="needs the extra cuda")

from cuda import pathfinder
from numba import cuda, typeof
from numba.cuda.cudadrv import devices

from mc.backends import cuda as backend
from mc.backends.cpu import cuts_of, empty_tally
from mc.config import Physics
from mc.geometry import voxels
from mc.geometry.collimator import Placed
from mc.machine.collimators import Ends
from mc.numerics.jit import njit
from mc.plan.delivery import first_state, fixed
from mc.tables import build_tables
from mc.transport.scoring import N_COUNTERS
from phantoms.recipes import water_tank
from tests.mc.collimation import FIELD, MATERIALS, built, jaws, leaves

CAPABILITY = (9, 0)
RECORD = json.loads(Path(__file__).with_name("cuda_resources.json").read_text())
MAX_GROWTH = 1.1  # of registers and spills over the record
MAX_PARAMETERS = 4096  # bytes; the limit of a kernel before CUDA 12.1 and of pre-Volta devices
# libdevice's double precision logarithm and exponential start from these and refine them.
LIBDEVICE = {"rcp.approx.ftz.f64", "ex2.approx.ftz.f32"}


class Compiled(NamedTuple):
    """A kernel's PTX, and what it takes."""

    name: str
    ptx: str
    registers: int
    spill_stores: int
    spill_loads: int
    parameters: int


@pytest.fixture(scope="module")
def current_device() -> Iterator[None]:
    """Stand in for a device, of which numba-cuda asks the compute capability alone.

    To compile a function that another one calls it takes the capability of the current device, whatever the
    caller is compiled for. The device is that of the context attached to the thread, for which numba-cuda
    looks before it turns to the driver.
    """
    runtime = devices._runtime
    attached = runtime._get_attached_context()
    runtime._set_attached_context(SimpleNamespace(device=SimpleNamespace(compute_capability=CAPABILITY)))
    yield
    runtime._set_attached_context(attached)


def to_ptx(kernel, *arguments) -> str:
    """PTX of a kernel for arguments of these types."""
    ptx, _ = cuda.compile(
        kernel.py_func, tuple(map(typeof, arguments)), device=False, abi="numba", cc=CAPABILITY,
        fastmath=kernel.targetoptions["fastmath"], output="ptx",
    )  # fmt: skip
    return ptx


def parameter_bytes(ptx: str) -> int:
    """Size of the parameters of the one kernel in some PTX, each aligned to its own size."""
    head = ptx[ptx.index(".entry") :]
    head = head[: head.index("\n)")]
    bits = re.findall(r"\.param \.[a-z](\d+) ", head)
    assert len(bits) == head.count(".param")  # scalars all: arrays and tuples are taken apart
    end = 0
    for size in (int(number) // 8 for number in bits):
        end = -(-end // size) * size + size
    return end


def approximations(ptx: str) -> set[str]:
    """Instructions of some PTX that fast-math lets in: approximate, or flushing denormal numbers to zero."""
    words = re.findall(r"\b[a-z]\w*(?:\.\w+)*\.(?:approx|full|ftz)(?:\.\w+)*", ptx)
    return set(words) - LIBDEVICE


THREADS = 2
CUTS = cuts_of(Physics())
HISTORIES = backend.Histories(np.zeros(1, np.int64), 0, 0, 0, 1)
COUNTERS = np.zeros((THREADS, N_COUNTERS), np.int64)


def showers(water: bool) -> tuple:
    """The kernel of showers and its arguments, of the types of a real run."""
    phantom = water_tank((1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    geometry, tables = voxels.build_voxels(phantom), build_tables(phantom.materials, Physics())
    tallies = empty_tally(geometry, tables, CUTS, water)
    state, sources = first_state(fixed(np.eye(3), np.zeros(3))), backend.new_stacks(1, 1, np.empty)
    workspace = backend.new_workspace(THREADS, 1, 1, 1, np.empty)
    arguments = sources, HISTORIES, state, geometry, tables, CUTS, tallies, workspace, COUNTERS
    return backend.run_showers, *arguments


def collimators(electrons: bool) -> tuple:
    """The kernel of collimators, with jaws and leaves, and its arguments."""
    collimator = built(jaws("Y", 28.0, Ends("focused")), leaves(Ends("rounded", 10.0)))
    placed = Placed(collimator, FIELD, np.zeros(32))
    tables = build_tables(MATERIALS, Physics())
    workspace = (
        backend.new_solids_workspace(THREADS, 1, len(collimator.shape), np.empty) if electrons else None
    )
    waiting, emerged = (backend.new_stacks(count, 1, np.empty) for count in (THREADS, 1))
    arguments = np.zeros((0, 9)), HISTORIES, placed, tables, CUTS, waiting, workspace, emerged, COUNTERS
    return backend.run_collimators, *arguments


KERNELS = {
    "showers": partial(showers, False),
    "showers, dose to water": partial(showers, True),
    "collimators": partial(collimators, False),
    "collimators, secondary electrons": partial(collimators, True),
}


@pytest.fixture(scope="module", params=KERNELS)
def compiled(request, current_device, tmp_path_factory) -> Compiled:
    """A kernel, compiled by NVVM and by ptxas."""
    ptx = to_ptx(*KERNELS[request.param]())
    source = tmp_path_factory.mktemp("ptx") / "kernel.ptx"
    source.write_text(ptx)
    ptxas = pathfinder.find_nvidia_binary_utility("ptxas")
    arch = "-arch=sm_{}{}".format(*CAPABILITY)
    done = subprocess.run(
        [ptxas, "-v", arch, "-o", source.with_suffix(".cubin"), source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [registers] = re.findall(r"Used (\d+) registers", done.stderr)
    stores, loads = (
        sum(map(int, re.findall(rf"(\d+) bytes spill {kind}", done.stderr))) for kind in ("stores", "loads")
    )
    return Compiled(request.param, ptx, int(registers), stores, loads, parameter_bytes(ptx))


def versions() -> dict[str, str]:
    """Versions of the compilers."""
    return {name: version(name) for name in RECORD["compilers"]}


@pytest.mark.slow
def test_a_kernel_takes_no_more_than_recorded(compiled):
    measured = {name: getattr(compiled, name) for name in Compiled._fields[2:]}
    recorded = RECORD["kernels"].get(compiled.name, [{}])[-1]
    report = (
        f"{compiled.name}: {json.dumps(measured)} by {versions()}; recorded {json.dumps(recorded)} by "
        f"{RECORD['compilers']}. If it must be so, add an entry with the reason to cuda_resources.json."
    )
    for name, value in measured.items():
        assert value <= MAX_GROWTH * recorded.get(name, -1), report
    assert compiled.parameters < MAX_PARAMETERS, report


@pytest.mark.slow
def test_a_kernel_computes_in_ieee_arithmetic(compiled):
    assert approximations(compiled.ptx) == set()
    divisions = set(re.findall(r"\b(?:div|rcp|sqrt|rsqrt)\.[\w.]*f(?:32|64)\b", compiled.ptx))
    assert divisions - LIBDEVICE == {"div.rn.f64", "rcp.rn.f64", "sqrt.rn.f64"}


@pytest.mark.slow
def test_a_kernel_adds_integers_atomically_and_allocates_nothing(compiled):
    added = set(re.findall(r"\b(?:atom|red)\.[\w.]+", compiled.ptx))
    assert added <= {"atom.global.add.u64", "red.global.add.u64"}
    assert bool(added) == (compiled.name != "collimators")  # which tally nothing without electrons
    assert "NRT_" not in compiled.ptx


def test_fast_math_is_recognised(current_device):
    """numba-cuda takes the set of flags of `njit` for full fast-math: single precision division shows it."""

    @njit
    def quotient(a, b):
        return a / b

    @cuda.jit
    def divide(numbers):
        numbers[0] = quotient(numbers[1], numbers[2])

    assert approximations(to_ptx(divide, np.zeros(3, np.float32)))
    assert approximations(to_ptx(divide, np.zeros(3))) == set()


def test_every_entry_of_the_record_says_why():
    assert set(RECORD["kernels"]) == set(KERNELS)
    for entries in RECORD["kernels"].values():
        assert all(entry["reason"].strip() for entry in entries)
