"""`mcverify gamma`: two doses compared by gamma."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mc.run.parallel import World
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.grid import Grid
from validation.cli import output
from validation.cli.kernels import load_gamma
from validation.cli.screen import Screen
from validation.metrics.gamma import GammaMap, gamma, parse_criterion

PASSED, FAILED = 0, 1


@dataclass(frozen=True, eq=False)
class Compared:
    """A dose to compare, [Gy] on its grid; `of` says what it is the dose of, as far as the file states it.

    `sigma` is its transport sigma [Gy], where the file states one.
    """

    path: Path
    grid: Grid
    dose: np.ndarray
    of: str
    frame_of_reference_uid: str = ""
    sigma: np.ndarray | None = None


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Print the passing rate and what it is of."""
    criterion = parse_criterion(arguments.criterion, arguments.local, arguments.threshold)
    if (arguments.structure is None) != (arguments.structure_file is None):
        raise InputError("gamma", "--structure and --structure-file go together")
    if arguments.out is not None:
        output.check_writable(arguments.out.parent)
    if arguments.dose_to == "water" and not any(
        output.is_hdf5(path) for path in (arguments.reference, arguments.evaluated)
    ):
        raise InputError("gamma", "--dose-to is for a dose.h5 of mcverify, and neither dose is one")
    reference, evaluated = (
        read_dose(path, arguments.dose_to) for path in (arguments.reference, arguments.evaluated)
    )
    for warning in _differences(reference, evaluated):
        screen.warn(warning)
    mask = None
    if arguments.structure is not None:
        mask = _mask(arguments.structure_file, arguments.structure, reference)
    load_gamma()
    found = gamma(reference.dose, reference.grid, evaluated.dose, evaluated.grid, criterion, mask)
    if found.count() == 0:
        where = f" within {arguments.structure}" if arguments.structure else ""
        raise InputError(
            reference.path, f"has no voxel above {criterion.threshold_percent:g} % of its maximum{where}"
        )
    record = _record(found, reference, evaluated, arguments)
    screen.facts("Gamma", _facts(record))
    if arguments.out is not None:
        with replacing(arguments.out) as path:
            path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.tolerance is None:
        return PASSED
    passed = record["passing_percent"] >= arguments.tolerance
    screen.line(f"{'passed' if passed else 'FAILED'}: tolerance {arguments.tolerance:g} %")
    return PASSED if passed else FAILED


def read_dose(path: Path, dose_to: str = "medium", planar: bool = False) -> Compared:
    """An RTDOSE or a dose.h5, of which `dose_to` names the dose to medium or to water.

    With `planar` an RTDOSE of one frame need not state its thickness.
    """
    if output.is_hdf5(path):
        from mc.dose import Dose

        dose = Dose.load(path)
        if dose_to == "water":
            if dose.to_water is None:
                raise InputError(path, "holds no dose to water", "`mcverify plan --dose-to both` makes one")
            dose = dose.to_water
        of = dose.provenance.get("quantity", "mcverify dose")
        return Compared(path, dose.grid, dose.mean, of, sigma=dose.sigma)
    from validation.rtdose import read_rtdose

    rtdose = read_rtdose(path, planar)
    return Compared(path, rtdose.grid, rtdose.dose, f"{rtdose.summation} dose", rtdose.frame_of_reference_uid)


def _differences(reference: Compared, evaluated: Compared) -> list[str]:
    """What makes two doses doubtful to compare."""
    warnings = []
    frames = {dose.frame_of_reference_uid for dose in (reference, evaluated)} - {""}
    if len(frames) > 1:
        warnings.append("the doses have different frames of reference; they are compared as if it were one")
    if "FRACTION dose" in (reference.of, evaluated.of) and reference.of != evaluated.of:
        warnings.append(f"the reference is a {reference.of}, the other a {evaluated.of}; neither is scaled")
    return warnings


def _mask(path: Path, name: str, reference: Compared) -> np.ndarray:
    """Voxels of the reference with their centre in a structure."""
    from phantoms.polygons import mask_by_centre
    from phantoms.structures import read_structures

    structures = read_structures(path)
    frame = structures.frame_of_reference_uid
    if frame and reference.frame_of_reference_uid and frame != reference.frame_of_reference_uid:
        raise InputError(path, f"has another frame of reference than {reference.path.name}")
    mask = mask_by_centre(structures[name], reference.grid)
    if not mask.any():
        raise InputError(f"{path}, structure {name}", f"holds no voxel of {reference.path.name}")
    return mask


def _record(
    found: GammaMap, reference: Compared, evaluated: Compared, arguments: Namespace
) -> dict[str, Any]:
    values = found.values()
    counts, edges = found.histogram()
    return {
        "schema": "mcverify gamma",
        "reference": str(reference.path),
        "evaluated": str(evaluated.path),
        "reference_is": reference.of,
        "evaluated_is": evaluated.of,
        "criterion": str(found.criterion),
        "normalisation_gy": found.normalisation,
        "structure": arguments.structure,
        "passing_percent": found.passing_rate(),
        "voxels": found.count(),
        "voxels_passed": int(np.count_nonzero(values <= 1.0)),
        "voxels_outside_evaluated": found.uncovered,
        "mean_gamma": float(values.mean()),
        "max_gamma": float(values.max()),
        "gamma_capped_at": found.max_gamma,
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _facts(record: dict[str, Any]) -> list[tuple[str, str]]:
    capped = record["max_gamma"] >= record["gamma_capped_at"]
    facts = [
        ("reference", f"{record['reference']} ({record['reference_is']})"),
        ("evaluated", f"{record['evaluated']} ({record['evaluated_is']})"),
        ("criterion", f"{record['criterion']}; 100 % is {record['normalisation_gy']:.4g} Gy"),
        ("region", record["structure"] or "the whole reference grid"),
        ("passing rate", f"{record['passing_percent']:.3f} %"),
        ("voxels", f"{record['voxels_passed']} of {record['voxels']} pass"),
        ("mean gamma", f"{record['mean_gamma']:.4f}" + (" (capped)" if capped else "")),
        ("maximum gamma", f"{'at least ' if capped else ''}{record['max_gamma']:.4f}"),
    ]
    if record["voxels_outside_evaluated"]:
        facts.append(("outside the evaluated dose", f"{record['voxels_outside_evaluated']} voxels"))
    return facts
