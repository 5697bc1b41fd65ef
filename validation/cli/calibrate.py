"""`mcverify calibrate`: Gy per source history of a machine, ready for its file."""

from __future__ import annotations

from argparse import Namespace

from mc.machine.folder import named_machine
from mc.run.options import RunOptions, StopRule
from mc.run.parallel import World
from phantoms.files import replacing
from validation.cli.screen import Screen, clock
from validation.workflow import output
from validation.workflow.machines import calibrate_machine

NO_RESULT = 2


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Run the reference condition of every beam quality of a machine."""
    machine = named_machine(arguments.machine)
    if arguments.out is not None and ranks.rank == 0:
        output.check_writable(arguments.out.parent)
    options = RunOptions(
        stop=StopRule(arguments.uncertainty, max_time=arguments.max_time),
        seed=arguments.seed,
        threads=arguments.threads,
        world=ranks,
    )
    with screen.progress() as bar:
        found = list(calibrate_machine(machine, options, bar.listener))
    for each in found:
        calibrated, label = each.calibrated, each.quality.label
        run = calibrated.report
        time = f"{clock(run.wall_seconds)}, {run.cpu_seconds:.0f} CPU-s of this rank"
        screen.facts(f"{machine.name} {label}", [*each.facts(), ("time", time)])
        if calibrated.relative_sigma > arguments.uncertainty:
            screen.warn(
                f"{label}: stopped by {run.stopped_by} at "
                f"{100 * calibrated.relative_sigma:.2f} %, short of {100 * arguments.uncertainty:g} %"
            )
    text = "\n".join(each.to_toml() for each in found)
    screen.line(text)
    if arguments.out is not None and ranks.rank == 0:
        with replacing(arguments.out, private=False) as path:
            path.write_text(text, encoding="utf-8")
    return NO_RESULT if found[-1].calibrated.report.interrupted else 0
