"""Phase spaces made from a machine's head when they are first needed, kept in the user's cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from mc import __version__
from mc.compute.head import HEAD_PHYSICS, HeadProgress, HeadTransport, head_geometry, simulate_head
from mc.machine.machine import BeamQuality, Machine, PhaseSpaceFile
from mc.run import parallel
from mc.run.interrupt import INTERRUPTED
from mc.source.packed_phase_space import cache_folder
from mc.tables.large_angles import head_tables_hash
from phantoms.errors import InputError

SEED = 1


def head_phase_space(
    machine: Machine,
    quality: BeamQuality,
    *,
    seed: int = SEED,
    threads: int | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[HeadProgress], None] = lambda _: None,
) -> Path:
    """Header of the phase space of a beam's head: from the user's cache, or made and put there.

    It is named by a hash of the head, the seed, the options and the cross sections, so what is found is what
    would be made. Under MPI rank 0 makes it and the others wait; all must call.

    Parameters
    ----------
    on_stage : callable
        Told in a few words what begins; not called where the phase space is found.

    Raises
    ------
    InputError
        If the machine file describes no head of this beam, or one that cannot be simulated.
    KeyboardInterrupt
        If interrupted: half a phase space is not kept.
    """
    head = quality.head
    if head is None:
        raise InputError(
            machine.path, f"describes no head of {quality.label}", "see [energies.head] in docs/formats.md"
        )
    folder, name = _folder(machine, quality, seed), f"head_{quality.label.replace(' ', '')}"
    header = folder / f"{name}.IAEAheader"
    world = parallel.world()
    if world.rank == 0 and not header.is_file():
        partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
        try:
            partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(partial, f"cannot be made: {error.strerror}", "make room in the cache") from None
        try:
            on_stage("kernels of heads (compiled once, a minute)")
            HeadTransport(head, machine.sad_cm).run(0, 1)
            stage = f"head of {machine.name} {quality.label}: {head.electrons:,} electrons"
            on_stage(f"{stage}, simulated once and kept")
            done = simulate_head(
                head,
                machine.sad_cm,
                partial / name,
                head.electrons,
                title=f"{machine.name} {quality.label}",
                seed=seed,
                threads=threads,
                on_progress=on_progress,
            )
            if done.quality["stopped_by"] == INTERRUPTED:
                raise KeyboardInterrupt
            if not header.is_file():  # another process may have been faster
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    world.barrier()
    return header


def remove_cached_head(header: Path) -> None:
    """Take a phase space that `head_phase_space` made out of the cache, when all ranks have done with it.

    Raises
    ------
    ValueError
        If it does not lie in the cache.
    """
    folder = header.parent
    if folder.parent != cache_folder():
        raise ValueError(f"{header} is not a phase space of the cache")
    world = parallel.world()
    world.barrier()
    if world.rank == 0 and folder.is_dir():
        partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")  # never half a folder by its name
        folder.rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def with_head_phase_space(machine: Machine, quality: BeamQuality, **options) -> BeamQuality:
    """The beam with the phase space of its head behind those the machine file names.

    Its field is the largest square within the splitting field. `options` are those of `head_phase_space`.
    """
    header = head_phase_space(machine, quality, **options)
    half = quality.head.splitting_radius_cm / 2.0**0.5
    space = PhaseSpaceFile(
        file=header,
        plane="above_jaws",
        target_z_cm=0.0,
        field_cm=(-half, half, -half, half),
        rotate=quality.head.symmetric,
    )
    return replace(quality, phase_spaces=(*quality.phase_spaces, space))


def with_heads(machine: Machine, qualities: Iterable[BeamQuality], **options) -> Machine:
    """The machine with the phase spaces of the heads of `qualities`, where its file names none of that beam.

    `options` are those of `head_phase_space`. Under MPI all ranks must call, with the same beams.
    """
    wanted = {quality.label for quality in qualities if quality.head is not None and not quality.phase_spaces}
    return replace(
        machine,
        energies=tuple(
            with_head_phase_space(machine, quality, **options) if quality.label in wanted else quality
            for quality in machine.energies
        ),
    )


def _folder(machine: Machine, quality: BeamQuality, seed: int) -> Path:
    materials, _ = head_geometry(quality.head)
    facts = (
        quality.head,
        machine.sad_cm,
        seed,
        head_tables_hash(materials, HEAD_PHYSICS),
        __version__,
    )
    key = sha256(repr(facts).encode()).hexdigest()[:32]
    return cache_folder() / key
