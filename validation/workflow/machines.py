"""Machines: their heads simulated, calibrated in the reference condition, compared with a water tank."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path

from mc.compute import calibration, head
from mc.compute.calibration import STOP, Calibrated
from mc.compute.head import HeadOptions, HeadRun
from mc.compute.head_cache import with_heads
from mc.machine.folder import named_machine
from mc.machine.machine import BeamQuality, Calibration, Machine
from mc.run.options import RunOptions
from mc.run.parallel import World, world
from mc.run.progress import Listener
from phantoms.errors import InputError
from phantoms.listing import Listing
from validation.commission import run
from validation.commission.criteria import Criteria, load_criteria
from validation.commission.finished import FinishedFields
from validation.commission.run import Commissioning, Effort
from validation.scans import ScanSet, read_measured
from validation.workflow import output
from validation.workflow.computing import COMPILING
from validation.workflow.kernels import load_kernels


@dataclass(frozen=True, eq=False)
class MachineCalibration:
    """Dose per source history of a beam quality, in its reference condition.

    Parameters
    ----------
    machine : Machine
    quality : BeamQuality
    calibrated : Calibrated
    """

    machine: Machine
    quality: BeamQuality
    calibrated: Calibrated

    @property
    def gy_per_history(self) -> float:
        """Dose per source history [Gy]."""
        return self.calibrated.calibration.gy_per_history

    def to_toml(self) -> str:
        """The block of a machine file (docs/formats.md) that states the calibration."""
        lines = [f"[energies.calibration]  # of {self.quality.label}, by `mcverify calibrate`"]
        for field in fields(Calibration):
            value = getattr(self.calibrated.calibration, field.name)
            if value is None:
                continue
            text = f'"{value}"' if isinstance(value, str) else f"{value:.6e}"
            lines.append(f"{field.name} = {text}")
        return "\n".join(lines) + "\n"

    def facts(self) -> list[tuple[str, str]]:
        """What was computed, and how well it is known."""
        reference, report = self.quality.reference, self.calibrated.report
        x, y = reference.field_cm
        latent = self.calibrated.relative_latent
        latent = "unknown" if latent is None else f"{100 * latent:.2f} %"
        return [
            ("dose per source history", f"{self.gy_per_history:.5e} Gy"),
            ("transport sigma", f"{100 * self.calibrated.relative_sigma:.2f} %"),
            ("latent sigma, of the phase space", latent),
            (
                "reference condition",
                f"{reference.medium}, SSD {reference.ssd_cm:g} cm, depth {reference.depth_cm:g} cm, field "
                f"{x:g} x {y:g} cm, mean over {reference.averaging_cm:g} x {reference.averaging_cm:g} cm",
            ),
            ("dose of 1 MU there", f"{reference.dose_per_mu_gy:g} Gy"),
            ("source histories of 1 MU", f"{reference.dose_per_mu_gy / self.gy_per_history:.4e}"),
            (
                "histories run",
                f"{report.histories:.4g}, the phase space {report.phase_space_reuse:.1f} times",
            ),
        ]

    def _repr_html_(self) -> str:
        return Listing.facts(f"{self.machine.name} {self.quality.label}", self.facts())._repr_html_()


def calibrate_machine(
    machine: Machine, options: RunOptions, listener: Listener = Listener()
) -> Iterator[MachineCalibration]:
    """Run the reference condition of every beam quality, one after another; an interrupted one is the last.

    Parameters
    ----------
    machine : Machine
    options : RunOptions
        The uncertainty of its stop rule is that of the reference dose.
    listener : Listener

    Raises
    ------
    InputError
        If a reference condition cannot be run.
    KeyboardInterrupt
        If interrupted before there was a result.
    """
    machine = with_heads(machine, machine.energies, HeadOptions(threads=options.threads), listener)
    listener.stage(COMPILING)
    load_kernels(options.ranks, machine=machine if machine.has_above else None)
    for quality in machine.energies:
        listener.stage(f"{machine.name} {quality.label}")
        found = MachineCalibration(
            machine, quality, calibration.calibrate(machine, quality, options, listener)
        )
        yield found
        if found.calibrated.report.interrupted:
            return


def heads_of(machine: Machine, beam: str | None = None) -> list[BeamQuality]:
    """The beams whose head the machine file describes, or the one of this label.

    Raises
    ------
    InputError
        If there are none.
    """
    beams = [quality for quality in machine.energies if quality.head is not None]
    if not beams:
        raise InputError(machine.path, "describes no head", "see [energies.head] in docs/formats.md")
    if beam is None:
        return beams
    named = [quality for quality in beams if quality.label == beam]
    if not named:
        known = ", ".join(quality.label for quality in beams)
        raise InputError("--beam", f"{machine.name} has no head of {beam!r}", f"it has {known}")
    return named


def one_head(machine: Machine, beam: str | None = None) -> BeamQuality:
    """The beam of this label, or the only one whose head the machine file describes.

    Raises
    ------
    InputError
        If there is none, or none is named of several.
    """
    beams = heads_of(machine, beam)
    if len(beams) > 1:
        known = ", ".join(quality.label for quality in beams)
        raise InputError(machine.path, f"describes {len(beams)} heads", f"name one beam of {known}")
    return beams[0]


def head_stem(out: str | PathLike | None, machine: Machine, quality: BeamQuality, beams: int = 1) -> Path:
    """Path of a phase space without extension; with several beams each has its label in its name."""
    label = quality.label.replace(" ", "")
    if out is None:
        return Path(re.sub(r"[^\w.+-]+", "_", f"{machine.name}_{label}"))
    out = Path(out)
    return out if beams == 1 else out.with_name(f"{out.name}_{label}")


def simulate_beam(
    machine: Machine,
    quality: BeamQuality,
    stem: Path,
    electrons: int | None = None,
    options: HeadOptions = HeadOptions(),
    listener: Listener = Listener(),
) -> HeadRun:
    """Simulate the head of a beam and write its phase space.

    Parameters
    ----------
    machine : Machine
    quality : BeamQuality
    stem : Path
        Of the files, without extension.
    electrons : int, optional
        On the target; by default as the machine file states.
    options : HeadOptions
    listener : Listener

    Raises
    ------
    InputError
        If the head cannot be simulated, or the files cannot be written.
    """
    output.check_writable(stem.parent)
    listener.stage(f"{machine.name} {quality.label}: head (its kernels are compiled once, a minute)")
    return head.simulate_head(
        quality.head,
        machine.sad_cm,
        stem,
        electrons or quality.head.electrons,
        options,
        title=f"{machine.name} {quality.label}",
        listener=listener,
    )


def commission_machine(
    machine: Machine,
    measured: ScanSet,
    criteria: Criteria,
    effort: Effort,
    tuned: Sequence[str],
    ranks: World,
    listener: Listener = Listener(),
    finished: FinishedFields | None = None,
) -> Commissioning:
    """Compute what was measured and judge it; the kernels are loaded when they are first needed.

    Parameters and errors are those of `validation.commission.run.commission`.
    """
    described = any(quality.head is not None for quality in machine.energies)
    above = machine.collimators is not None and (machine.has_above or described)
    loaded: list[bool] = []

    def stage(name: str) -> None:
        if not loaded:  # all that can be refused without computing has been by now
            listener.stage(COMPILING)
            load_kernels(ranks, machine=machine if above else None)
            loaded.append(True)
        listener.stage(name)

    loading = replace(listener, stage=stage)
    return run.commission(
        machine, measured, criteria, effort, tuned=tuned, listener=loading, finished=finished
    )


def simulate_head(
    machine: str | PathLike | Machine,
    *,
    beam: str | None = None,
    out: str | PathLike | None = None,
    electrons: int | None = None,
    options: HeadOptions = HeadOptions(),
    listener: Listener = Listener(),
) -> HeadRun:
    """Simulate the head of a linac: electrons on the target, a phase space above the jaws (docs/physics.md).

    Parameters
    ----------
    machine : name, path or Machine
    beam : str, optional
        Such as ``6 MV FFF``; may be left out where the machine file describes one head.
    out : path, optional
        Of the phase space, without extension; by default MACHINE_BEAM in the working folder.
    electrons : int, optional
        On the target; by default as the machine file states.
    options : HeadOptions
    listener : Listener

    Returns
    -------
    HeadRun
        Phase space and report. Ctrl-C ends the file early and keeps what is done.

    Raises
    ------
    InputError
        If there is no such head, it cannot be simulated, or the files cannot be written.
    """
    machine = _read(machine)
    quality = one_head(machine, beam)
    return simulate_beam(machine, quality, head_stem(out, machine, quality), electrons, options, listener)


def calibrate(
    machine: str | PathLike | Machine,
    *,
    uncertainty: float | None = None,
    options: RunOptions = RunOptions(stop=STOP),
    listener: Listener = Listener(),
) -> tuple[MachineCalibration, ...]:
    """Compute the dose per source history of every beam quality in its reference condition.

    Parameters
    ----------
    machine : name, path or Machine
    uncertainty : float, optional
        Relative transport sigma of the reference dose, in place of that of `options`, 0.003.
    options : RunOptions
    listener : Listener

    Returns
    -------
    tuple of MachineCalibration
        Each with `gy_per_history`, and `to_toml` for the machine file; after Ctrl-C those that are done.

    Raises
    ------
    InputError
        If a reference condition cannot be run.
    """
    if uncertainty is not None:
        options = replace(options, stop=replace(options.stop, uncertainty=uncertainty))
    return tuple(calibrate_machine(_read(machine), options, listener))


def commission(
    machine: str | PathLike | Machine,
    scans: str | PathLike | ScanSet,
    *,
    criteria: str | PathLike = "default",
    tune: Sequence[str] = (),
    effort: Effort = Effort(),
    listener: Listener = Listener(),
) -> Commissioning:
    """Compute what was measured of a machine in the water tank, and compare (docs/commissioning.md).

    Parameters
    ----------
    machine : name, path or Machine
    scans : path or ScanSet
    criteria : name or path
        Limits to judge by.
    tune : sequence of {'energy', 'spot', 'filter', 'leaves', 'jaws'}
        What of the machine to tune first.
    effort : Effort
        How well to compute.
    listener : Listener

    Returns
    -------
    Commissioning
        Judged `scans`, and what was tuned; `write_report` writes its report.

    Raises
    ------
    InputError
        If scans, machine and criteria do not go together.
    """
    measured = scans if isinstance(scans, ScanSet) else read_measured(scans)
    limits = load_criteria(criteria)
    return commission_machine(_read(machine), measured, limits, effort, tune, world(), listener)


def _read(machine: str | PathLike | Machine) -> Machine:
    return machine if isinstance(machine, Machine) else named_machine(machine)
