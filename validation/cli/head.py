"""`mcverify head`: simulate the head of a linac and write its phase space."""

from __future__ import annotations

from argparse import Namespace

from mc.compute.head import HeadOptions, HeadRun
from mc.machine.folder import named_machine
from mc.run.parallel import World
from validation.cli.screen import Screen, clock
from validation.workflow.machines import head_stem, heads_of, simulate_beam

NO_RESULT = 2


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Simulate the head of every beam of a machine that describes one, or of that named."""
    machine = named_machine(arguments.machine)
    beams = heads_of(machine, arguments.beam)
    options = HeadOptions(
        seed=arguments.seed, threads=arguments.threads, keep_outside_field=arguments.keep_wide
    )
    for quality in beams:
        stem = head_stem(arguments.out, machine, quality, len(beams))
        with screen.progress() as bar:
            done = simulate_beam(machine, quality, stem, arguments.electrons, options, bar.listener)
        screen.facts(f"{done.phase_space.header_path}: {machine.name} {quality.label}", facts(done))
        _warn(done, screen)
        if done.report.interrupted:
            screen.warn("interrupted: the phase space holds what was done")
            return NO_RESULT
    return 0


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
