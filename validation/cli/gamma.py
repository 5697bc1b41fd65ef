"""`mcverify gamma`: two doses compared by gamma."""

from __future__ import annotations

import json
from argparse import Namespace

from mc.run.parallel import World
from phantoms.errors import InputError
from phantoms.files import is_hdf5, replacing
from phantoms.structures import read_structures
from validation.cli.screen import Screen
from validation.metrics.gamma import parse_criterion
from validation.workflow import output
from validation.workflow.doses import gamma_of_doses, read_dose

PASSED, FAILED = 0, 1


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Print the passing rate and what it is of."""
    criterion = parse_criterion(arguments.criterion, arguments.local, arguments.threshold)
    if (arguments.structure is None) != (arguments.structure_file is None):
        raise InputError("gamma", "--structure and --structure-file go together")
    if arguments.out is not None:
        output.check_writable(arguments.out.parent)
    if arguments.dose_to == "water" and not any(
        is_hdf5(path) for path in (arguments.reference, arguments.evaluated)
    ):
        raise InputError("gamma", "--dose-to is for a dose.h5 of mcverify, and neither dose is one")
    reference, evaluated = (
        read_dose(path, arguments.dose_to, planar=True) for path in (arguments.reference, arguments.evaluated)
    )
    structures = None
    if arguments.structure is not None:
        structures = read_structures(arguments.structure_file, reference.frame_of_reference_uid)
    found = gamma_of_doses(
        reference, evaluated, criterion, structures, arguments.structure, arguments.unrelated
    )
    for warning in found.warnings:
        screen.warn(warning)
    screen.facts("Gamma", found.facts())
    if arguments.out is not None:
        with replacing(arguments.out) as path:
            path.write_text(json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.tolerance is None:
        return PASSED
    passed = found.map.passing_rate() >= arguments.tolerance
    screen.line(f"{'passed' if passed else 'FAILED'}: tolerance {arguments.tolerance:g} %")
    return PASSED if passed else FAILED
