"""`mcverify calibrate`: Gy per source history of a machine, ready for its file."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields

from mc.compute.calibration import Calibrated, calibrate
from mc.compute.head import HeadOptions
from mc.compute.head_cache import with_heads
from mc.machine.machine import BeamQuality, Calibration, read_machine
from mc.run.options import RunOptions, StopRule
from mc.run.parallel import World
from phantoms.files import replacing
from validation.cli import output
from validation.cli.kernels import load_kernels
from validation.cli.screen import Screen, clock

NO_RESULT = 2


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Run the reference condition of every beam quality of a machine."""
    machine = read_machine(arguments.machine)
    if arguments.out is not None and ranks.rank == 0:
        output.check_writable(arguments.out.parent)
    options = RunOptions(
        stop=StopRule(arguments.uncertainty, max_time=arguments.max_time),
        seed=arguments.seed,
        threads=arguments.threads,
        world=ranks,
    )
    found: list[tuple[BeamQuality, Calibrated]] = []
    with screen.progress() as bar:
        head_options = HeadOptions(threads=arguments.threads)
        machine = with_heads(machine, machine.energies, head_options, bar.listener)
        bar.stage("kernels (compiled once, some twenty seconds)")
        load_kernels(ranks, machine=machine if machine.has_above else None)
        for quality in machine.energies:
            bar.stage(f"{machine.name} {quality.label}")
            calibrated = calibrate(machine, quality, options, bar.listener)
            found.append((quality, calibrated))
            if calibrated.report.interrupted:
                break
    blocks = []
    for quality, calibrated in found:
        screen.facts(f"{machine.name} {quality.label}", _facts(quality, calibrated))
        if calibrated.relative_sigma > arguments.uncertainty:
            screen.warn(
                f"{quality.label}: stopped by {calibrated.report.stopped_by} at "
                f"{100 * calibrated.relative_sigma:.2f} %, short of {100 * arguments.uncertainty:g} %"
            )
        blocks.append(toml_block(quality, calibrated))
    text = "\n".join(blocks)
    screen.line(text)
    if arguments.out is not None and ranks.rank == 0:
        with replacing(arguments.out) as path:
            path.write_text(text, encoding="utf-8")
    return NO_RESULT if found[-1][1].report.interrupted else 0


def toml_block(quality: BeamQuality, calibrated: Calibrated) -> str:
    """The block of a machine file (docs/formats.md) that states a calibration."""
    lines = [f"[energies.calibration]  # of {quality.label}, by `mcverify calibrate`"]
    for field in fields(Calibration):
        value = getattr(calibrated.calibration, field.name)
        if value is None:
            continue
        text = f'"{value}"' if isinstance(value, str) else f"{value:.6e}"
        lines.append(f"{field.name} = {text}")
    return "\n".join(lines) + "\n"


def _facts(quality: BeamQuality, calibrated: Calibrated) -> list[tuple[str, str]]:
    reference, run = quality.reference, calibrated.report
    x, y = reference.field_cm
    latent = calibrated.relative_latent
    latent = "unknown" if latent is None else f"{100 * latent:.2f} %"
    return [
        ("dose per source history", f"{calibrated.calibration.gy_per_history:.5e} Gy"),
        ("transport sigma", f"{100 * calibrated.relative_sigma:.2f} %"),
        ("latent sigma, of the phase space", latent),
        (
            "reference condition",
            f"{reference.medium}, SSD {reference.ssd_cm:g} cm, depth {reference.depth_cm:g} cm, field "
            f"{x:g} x {y:g} cm, mean over {reference.averaging_cm:g} x {reference.averaging_cm:g} cm",
        ),
        ("dose of 1 MU there", f"{reference.dose_per_mu_gy:g} Gy"),
        (
            "source histories of 1 MU",
            f"{reference.dose_per_mu_gy / calibrated.calibration.gy_per_history:.4e}",
        ),
        ("histories run", f"{run.histories:.4g}, the phase space {run.phase_space_reuse:.1f} times"),
        ("time", f"{clock(run.wall_seconds)}, {run.cpu_seconds:.0f} CPU-s of this rank"),
    ]
