"""`mcverify phsp`: look at IAEA phase spaces, put them together, thin them out, turn them, draw them."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from mc.run.parallel import World
from mc.source.iaea_header import KINDS
from mc.source.phase_space import Particles, PhaseSpace, open_phase_space
from mc.source.phase_space_tools import across, latent_sigma, merge, thin_out, turn
from phantoms.errors import InputError
from validation.cli import output
from validation.cli.inspect import show_phase_space
from validation.cli.screen import Screen


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Do what `arguments.action` says."""
    return {"info": _info, "merge": _merge, "filter": _filter, "rotate": _rotate, "plot": _plot}[
        arguments.action
    ](arguments, screen)


def _info(arguments: Namespace, screen: Screen) -> int:
    space = show_phase_space(arguments.path, screen)
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
    output.check_writable(arguments.out.parent)
    for space in spaces:
        _refuse_itself(space, arguments)
    return _print_summary(merge(spaces, arguments.out), screen)


def _filter(arguments: Namespace, screen: Screen) -> int:
    space = open_phase_space(arguments.path)
    output.check_writable(arguments.out.parent)
    _refuse_itself(space, arguments)
    kinds = [KINDS.index(name) + 1 for name in arguments.kind] if arguments.kind else [1, 2, 3]
    low, high, radius, plane = arguments.above, arguments.below, arguments.radius, arguments.plane

    def keep(p: Particles) -> np.ndarray:
        kept = np.isin(p.kind, kinds) & (p.energy >= low) & (p.energy < high)
        if radius is not None:
            x, y = across(p, plane)
            kept &= np.hypot(x, y) < radius
        return kept

    note = f"kept: {', '.join(KINDS[kind - 1] for kind in kinds)} of {low:g} to {high:g} MeV"
    if radius is not None:
        note += f" that pass within {radius:g} cm of the axis at z = {plane:g} cm"
    return _print_summary(thin_out(space, arguments.out, keep, note, all_values=arguments.all_values), screen)


def _rotate(arguments: Namespace, screen: Screen) -> int:
    space = open_phase_space(arguments.path)
    output.check_writable(arguments.out.parent)
    _refuse_itself(space, arguments)
    return _print_summary(turn(space, arguments.out, arguments.copies, arguments.seed), screen)


def _plot(arguments: Namespace, screen: Screen) -> int:
    from validation.report.phase_space import draw_phase_space

    space = open_phase_space(arguments.path)
    output.check_writable(arguments.out.parent)
    draw_phase_space(space, arguments.plane, arguments.out)
    screen.line(f"{arguments.out}: spectrum, directions and fluence of {space.data_path.name}")
    return 0


def _refuse_itself(space: PhaseSpace, arguments: Namespace) -> None:
    if arguments.out.resolve() == space.header_path.resolve().with_suffix(""):
        raise InputError("--out", f"is the phase space {space.data_path.name} itself", "name another one")


def _print_summary(space: PhaseSpace, screen: Screen) -> int:
    header = space.header
    screen.line(
        f"{space.header_path}: {header.particles:,} particles of {header.orig_histories:,} original histories"
    )
    return 0
