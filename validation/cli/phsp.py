"""`mcverify phsp`: look at IAEA phase spaces, put them together, thin them out, turn them, draw them."""

from __future__ import annotations

from argparse import Namespace

from mc.run.parallel import World
from mc.source.iaea_header import KINDS
from mc.source.phase_space import PhaseSpace, open_phase_space
from mc.source.phase_space_tools import Selection, latent_sigma
from validation.cli.inspect import show
from validation.cli.screen import Screen
from validation.workflow import output
from validation.workflow.inspect import show_phase_space
from validation.workflow.inspection import Inspection
from validation.workflow.phase_spaces import filter_phase_space, merge_phase_spaces, rotate_phase_space


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Do what `arguments.action` says."""
    return {"info": _info, "merge": _merge, "filter": _filter, "rotate": _rotate, "plot": _plot}[
        arguments.action
    ](arguments, screen)


def _info(arguments: Namespace, screen: Screen) -> int:
    found = Inspection()
    space = show_phase_space(arguments.path, found)
    show(found, screen)
    plane, square = arguments.plane, arguments.square
    sigma = latent_sigma(space, plane, square)
    electrons = space.header.orig_histories
    facts = [
        (
            "square about the axis",
            f"{square:g} x {square:g} cm at z = {plane:g} cm, photons on straight lines",
        ),
        ("latent sigma of the fluence", f"{100 * sigma.fluence:.2f} %"),
        ("latent sigma of the energy fluence", f"{100 * sigma.energy_fluence:.2f} %"),
        ("photons of a history that has any there", f"{sigma.particles:.2f}"),
        (
            "histories for 0.5 %",
            f"{electrons * (sigma.energy_fluence / 0.005) ** 2:.3g}, of which it has {electrons:.3g}",
        ),
    ]
    screen.facts("What its histories leave to chance", facts)
    return 0


def _merge(arguments: Namespace, screen: Screen) -> int:
    spaces = [open_phase_space(path) for path in arguments.paths]
    return _print_summary(merge_phase_spaces(spaces, arguments.out), screen)


def _filter(arguments: Namespace, screen: Screen) -> int:
    kinds = tuple(kind for kind in KINDS if not arguments.kind or kind in arguments.kind)
    chosen = Selection(kinds, arguments.above, arguments.below, arguments.radius, arguments.plane)
    space = open_phase_space(arguments.path)
    found = filter_phase_space(space, arguments.out, chosen, all_values=arguments.all_values)
    return _print_summary(found, screen)


def _rotate(arguments: Namespace, screen: Screen) -> int:
    space = open_phase_space(arguments.path)
    found = rotate_phase_space(space, arguments.out, copies=arguments.copies, seed=arguments.seed)
    return _print_summary(found, screen)


def _plot(arguments: Namespace, screen: Screen) -> int:
    from validation.report.phase_space import draw_phase_space

    space = open_phase_space(arguments.path)
    output.check_writable(arguments.out.parent)
    draw_phase_space(space, arguments.plane, arguments.out)
    screen.line(f"{arguments.out}: spectrum, directions and fluence of {space.data_path.name}")
    return 0


def _print_summary(space: PhaseSpace, screen: Screen) -> int:
    header = space.header
    screen.line(
        f"{space.header_path}: {header.particles:,} particles of {header.orig_histories:,} original histories"
    )
    return 0
