"""`mcverify head`: simulate the head of a linac and write its phase space."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

from mc.compute.head import HeadOptions, HeadRun, simulate_head
from mc.machine.machine import BeamQuality, Machine, read_machine
from mc.run.parallel import World
from phantoms.errors import InputError
from validation.cli import output
from validation.cli.screen import Screen, clock

NO_RESULT = 2


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Simulate the head of every beam of a machine that describes one, or of that named."""
    machine = read_machine(arguments.machine)
    beams = _chosen(machine, arguments.beam)
    options = HeadOptions(
        seed=arguments.seed, threads=arguments.threads, keep_outside_field=arguments.keep_wide
    )
    code = 0
    for quality in beams:
        stem = _stem(arguments.out, machine, quality, len(beams))
        output.check_writable(stem.parent)
        with screen.progress() as bar:
            bar.stage(f"{machine.name} {quality.label}: head (its kernels are compiled once, a minute)")
            done = simulate_head(
                quality.head,
                machine.sad_cm,
                stem,
                arguments.electrons or quality.head.electrons,
                options,
                title=f"{machine.name} {quality.label}",
                listener=bar.listener,
            )
        screen.facts(f"{done.phase_space.header_path}: {machine.name} {quality.label}", facts(done))
        _warn(done, screen)
        if done.report.interrupted:
            screen.warn("interrupted: the phase space holds what was done")
            code = NO_RESULT
            break
    return code


def _chosen(machine: Machine, label: str | None) -> list[BeamQuality]:
    beams = [quality for quality in machine.energies if quality.head is not None]
    if not beams:
        raise InputError(machine.path, "describes no head", "see [energies.head] in docs/formats.md")
    if label is None:
        return beams
    named = [quality for quality in beams if quality.label == label]
    if not named:
        known = ", ".join(quality.label for quality in beams)
        raise InputError("--beam", f"{machine.name} has no head of {label!r}", f"it has {known}")
    return named


def _stem(out: Path | None, machine: Machine, quality: BeamQuality, beams: int) -> Path:
    """Path without extension; with several beams each has its label in its name."""
    label = quality.label.replace(" ", "")
    if out is None:
        return Path(re.sub(r"[^\w.+-]+", "_", f"{machine.name}_{label}"))
    return out if beams == 1 else out.with_name(f"{out.name}_{label}")


def facts(done: HeadRun) -> list[tuple[str, str]]:
    """What a simulation came to, for the screen."""
    report, header = done.report, done.phase_space.header
    return [
        ("electrons on the target", f"{report.electrons:,}"),
        ("particles", f"{header.particles:,}: {header.counts[0]:,} photons, {header.counts[1]:,} electrons, "
         f"{header.counts[2]:,} positrons, {header.record_length} bytes each"),
        (
            "efficiency",
            f"{report.electrons_per_cpu_second:.0f} electrons per CPU-second, "
            f"{report.particles_per_electron:.2f} particles per electron "
            f"at splitting {' and '.join(map(str, report.splitting))}",
        ),
        (
            "past the splitting field",
            f"{report.outside_photons_per_electron:.3g} photons, {report.outside_mev_per_electron:.3g} MeV "
            "per electron",
        ),
        ("energy balance", f"{report.energy_balance:.9f}"),
        (
            "given by splitting less taken by roulette",
            f"{-100 * report.splitting_balance:.2f} % of the energy (0 but for noise)",
        ),
        ("time", f"{clock(report.wall_seconds)}, {report.cpu_seconds:.0f} CPU-s"),
    ]  # fmt: skip


def _warn(done: HeadRun, screen: Screen) -> None:
    for count, what in (
        (done.report.lost_particles, "particles were lost"),
        (done.report.stack_overflows, "found the stack full"),
    ):
        if count:
            screen.warn(f"{count} {what}")
