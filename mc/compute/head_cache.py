"""Phase spaces simulated from a machine's head at first use, kept in the user's cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from mc import __version__
from mc.compute.head import HeadOptions, HeadTransport, head_geometry, simulate_head
from mc.machine.machine import BeamQuality, Machine, PhaseSpaceFile
from mc.run import parallel
from mc.run.progress import Listener
from mc.source.iaea_header import read_header
from mc.source.packed_phase_space import cache_folder
from mc.tables.large_angles import head_tables_hash
from phantoms.errors import InputError
from phantoms.files import partial_name

NAME = "head_"  # begins the names of its files
PARTIAL = ".partial-"  # begins the name of a folder that is being made
KEY = 8  # characters of its name by which a head is called


@dataclass(frozen=True)
class CachedHead:
    """A phase space of `head_phase_space` in the user's cache.

    Parameters
    ----------
    folder : Path
    key : str
        By which the user calls it.
    title : str
        Machine and beam.
    electrons : int
        On the target.
    size : int
        Of its files [bytes].
    made : float
        When [s since 1970].
    complete : bool
        False for one that is being made, or was left behind by a run that was broken off.
    """

    folder: Path
    key: str
    title: str
    electrons: int
    size: int
    made: float
    complete: bool


def cached_heads() -> list[CachedHead]:
    """All heads in the user's cache, the newest first, and what is left of those that were broken off."""
    found = []
    for folder in cache_folder().glob("*"):
        headers = sorted(folder.glob(f"{NAME}*.IAEAheader"))
        partial = folder.name.startswith(PARTIAL)
        if not folder.is_dir() or not (headers or partial):
            continue  # an unpacked phase space that is shipped
        title, electrons = "?", 0
        with suppress(InputError):
            header = read_header(headers[0]) if headers else None
            title, electrons = (header.title, header.orig_histories) if header else (title, electrons)
        with suppress(OSError):  # another process may be removing it
            size = sum(file.stat().st_size for file in folder.iterdir())
            key = folder.name.removeprefix(".") if partial else folder.name[:KEY]
            made = folder.stat().st_mtime
            found.append(CachedHead(folder, key, title, electrons, size, made, not partial))
    return sorted(found, key=lambda head: -head.made)


def remove_head(head: CachedHead) -> None:
    """Remove a head from the user's cache; it is simulated again when it is next needed."""
    _remove(head.folder)


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
    folder, name = _folder(machine, quality, options), f"{NAME}{quality.label.replace(' ', '')}"
    header = folder / f"{name}.IAEAheader"
    world = parallel.world()
    if world.rank == 0 and not header.is_file():
        partial = partial_name(folder)
        try:
            partial.mkdir(parents=True)
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
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder of the cache, renamed first, so that a folder of its name is always complete."""
    partial = folder
    if not folder.name.startswith(PARTIAL):
        partial = partial_name(folder)
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
