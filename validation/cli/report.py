"""`mcverify report`: the report of a result made again, by the same limits or others."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from mc.dose import Dose
from mc.run.parallel import World
from phantoms.errors import InputError
from phantoms.identity import read_identity
from validation.cli import output
from validation.cli.kernels import load_gamma
from validation.cli.plan import FAILED, PASSED, write_comparison
from validation.cli.screen import Screen, clock
from validation.cli.verdict import show_verdict
from validation.limits.profiles import DEFAULT, Profile, load_profile, shipped_profiles


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compare again and write report and result; 0 if the verdict passes, 1 if it fails."""
    from validation.plan_check.comparison import compare
    from validation.plan_check.record import Record

    started, result = time.monotonic(), arguments.result
    profile = profile_of(arguments.profile, result)
    name = _name(result / output.RTDOSE) if arguments.name else ""
    out = arguments.out or result
    with screen.progress() as bar, beside_or_in(out, result):
        bar.stage("reading the result")
        record = Record.load(result / output.INPUTS, result / output.DOSE)
        dose = Dose.load(result / output.DOSE)
        bar.stage("comparing")
        load_gamma()
        comparison = compare(record, dose, profile, name=name, on_stage=bar.stage)
        bar.stage("writing the report")
        write_comparison(comparison, out)
    show_verdict(comparison, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {out / output.REPORT}")
    return PASSED if comparison.verdict.passed else FAILED


def beside_or_in(out: Path, result: Path) -> AbstractContextManager[None]:
    """What is written goes into the folder of the result, or into one of its own that is made ready."""
    return nullcontext() if out.resolve() == result.resolve() else output.result_folder(out)


def profile_of(asked: str | None, result: Path) -> Profile:
    """The profile that is asked for, or the one the result was judged by; refuses what is no folder."""
    if not result.is_dir():
        raise InputError(result, "is not a folder", "name the result folder of `mcverify plan`")
    if asked:
        return load_profile(asked)
    path = result / output.RESULT
    if not path.exists():
        return load_profile(DEFAULT)
    try:
        name = json.loads(path.read_bytes())["verdict"]["profile"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(path, "cannot be read as a result", "name the limits with --profile") from None
    if name not in shipped_profiles():
        raise InputError(path, f"was judged by profile {name}, which is your own", "name its file: --profile")
    return load_profile(name)


def _name(rtdose: Path) -> str:
    """Who the patient is, from the RTDOSE of the result."""
    identity = read_identity([rtdose])
    if not (identity.name or identity.number):
        raise InputError(rtdose, "does not state a patient", "leave out --name")
    return identity.label
