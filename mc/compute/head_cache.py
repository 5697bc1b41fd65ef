"""Phase spaces simulated from a machine's head at first use, kept in the user's cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from mc import __version__
from mc.compute.head import HeadOptions, HeadTransport, head_geometry, simulate_head
from mc.machine.machine import BeamQuality, Machine, PhaseSpaceFile
from mc.run import parallel
from mc.run.progress import Listener
from mc.source.packed_phase_space import cache_folder
from mc.tables.large_angles import head_tables_hash
from phantoms.errors import InputError


def head_phase_space(
    machine: Machine,
    quality: BeamQuality,
    options: HeadOptions = HeadOptions(),
    listener: Listener = Listener(),
) -> Path:
    """Header of the phase space of a beam's head, from the user's cache; simulated first if it is not there.

    It is named by a hash of the head, the options and the cross sections. Under MPI rank 0 simulates and the
    others wait; all must call.

    Parameters
    ----------
    machine : Machine
    quality : BeamQuality
    options : HeadOptions
    listener : Listener
        Not called if the phase space is found.

    Raises
    ------
    InputError
        If the machine file describes no head of this beam, or one that cannot be simulated.
    KeyboardInterrupt
        If interrupted: an incomplete phase space is not kept.
    """
    head = quality.head
    if head is None:
        raise InputError(
            machine.path, f"describes no head of {quality.label}", "see [energies.head] in docs/formats.md"
        )
    folder, name = _folder(machine, quality, options), f"head_{quality.label.replace(' ', '')}"
    header = folder / f"{name}.IAEAheader"
    world = parallel.world()
    if world.rank == 0 and not header.is_file():
        partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
        try:
            partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                partial, f"cannot be made: {error.strerror}", "free some space in the cache"
            ) from None
        try:
            listener.stage("kernels of heads (compiled once, a minute)")
            HeadTransport(head, machine.sad_cm).run(0, 1)
            stage = f"head of {machine.name} {quality.label}: {head.electrons:,} electrons"
            listener.stage(f"{stage}, simulated once and kept")
            done = simulate_head(
                head,
                machine.sad_cm,
                partial / name,
                head.electrons,
                options,
                title=f"{machine.name} {quality.label}",
                listener=listener,
            )
            if done.report.interrupted:
                raise KeyboardInterrupt
            if not header.is_file():  # another process may have been faster
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    world.barrier()
    return header


def remove_cached_head(header: Path) -> None:
    """Remove a phase space of `head_phase_space` from the cache once no rank uses it any more.

    Raises
    ------
    ValueError
        If it is not in the cache.
    """
    folder = header.parent
    if folder.parent != cache_folder():
        raise ValueError(f"{header} is not a phase space of the cache")
    world = parallel.world()
    world.barrier()
    if world.rank == 0 and folder.is_dir():
        # renamed first, so that a folder of this name is always complete
        partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
        folder.rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def with_head_phase_space(
    machine: Machine,
    quality: BeamQuality,
    options: HeadOptions = HeadOptions(),
    listener: Listener = Listener(),
) -> BeamQuality:
    """The beam with the phase space of its head (`head_phase_space`) after those the machine file names.

    Its field is the largest square within the splitting field.
    """
    header = head_phase_space(machine, quality, options, listener)
    half = quality.head.splitting_radius_cm / 2.0**0.5
    space = PhaseSpaceFile(
        file=header,
        plane="above_jaws",
        target_z_cm=0.0,
        field_cm=(-half, half, -half, half),
        rotate=quality.head.symmetric,
        simulated=True,
    )
    return replace(quality, phase_spaces=(*quality.phase_spaces, space))


def with_heads(
    machine: Machine,
    qualities: Iterable[BeamQuality],
    options: HeadOptions = HeadOptions(),
    listener: Listener = Listener(),
) -> Machine:
    """The machine with the phase spaces of the heads of `qualities` whose beams have none in its file.

    Under MPI all ranks must call, with the same beams.
    """
    wanted = {quality.label for quality in qualities if quality.head is not None and not quality.phase_spaces}
    return replace(
        machine,
        energies=tuple(
            with_head_phase_space(machine, quality, options, listener) if quality.label in wanted else quality
            for quality in machine.energies
        ),
    )


def _folder(machine: Machine, quality: BeamQuality, options: HeadOptions) -> Path:
    materials, _ = head_geometry(quality.head)
    facts = (
        quality.head,
        machine.sad_cm,
        options.seed,
        head_tables_hash(materials, options.physics),
        __version__,
        *(("photons outside the field",) if options.keep_outside_field else ()),
    )
    key = sha256(repr(facts).encode()).hexdigest()[:32]
    return cache_folder() / key
