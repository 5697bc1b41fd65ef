"""mcverify: independent Monte Carlo check of radiotherapy plans, from Python.

What the command `mcverify` does, each subcommand a function, with the same results; `python -m mcverify` is
the command.

>>> import mcverify as mv
>>> case = mv.load_case("export/")
>>> run = mv.compute_dose(case, uncertainty=0.01)
>>> check = mv.compare(case, run, profile="spine")
>>> check.verdict.status, check.gamma("2%/1mm").passing_rate()

=============================  ========================================================================
`load_case`, `load_demo`       read the export of a plan, or the built-in one
`load_phantom_plan`            read an RTPLAN to be computed in a phantom
`compute_dose`                 compute the dose of either; a missing head is simulated first
`compare`                      gamma, DVH, dose limits, diagnosis, verdict
`write_result`, `load_result`  the result folder of `mcverify plan`
`what_if`                      errors of the patient's setup
`write_report`, `picture`      HTML, PDF and JSON of a result; one picture of it
`read_dose`, `read_structures` an RTDOSE, dose.h5 or result folder; an RTSTRUCT
`gamma`, `dvh`                 of bare arrays
`dvh_table`                    DVHs, metrics and dose limits of all structures
`read_phase_space`             an IAEA phase space; `latent_sigma` says what its histories leave to chance
`merge_phase_spaces`           and `filter_phase_space`, `rotate_phase_space`: make another of it
`read_machine`                 a machine file
`simulate_head`                from electrons on the target to a phase space
`calibrate`                    dose per source history in the reference condition
`read_scan`, `commission`      water-tank scans, and a machine compared with them
`calibrate_film`               and `read_film_calibration`: a film calibration
`check_film`                   a scanned film against a plane of a dose
`validate`                     the engine against published data and independent codes
`inspect`                      what is this file or folder?
`warmup`                       compile the kernels
=============================  ========================================================================

**Units** are Gy and mm where a name or a docstring states them; the engine's own values are in cm and MeV.
**Arrays** are indexed (z, y, x), coordinates are DICOM patient coordinates. **Results** are immutable; they
show themselves in a notebook, and their `plot` takes matplotlib axes and returns the artists it made. **Bad
input** raises `InputError`, which names what is at fault, what is wrong with it and what to do. Nothing is
printed; a `Listener` is called with stages and progress. Ctrl-C ends the computation of a dose with what is
done, a second one at once.

Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and the documentation; `_CONTENTS` is the same at run time
    from mc.compute.head import HeadOptions as HeadOptions
    from mc.compute.head import HeadReport as HeadReport
    from mc.compute.head import HeadRun as HeadRun
    from mc.compute.plan_dose import ComputedDose as ComputedDose
    from mc.config import Physics as Physics
    from mc.dose import Dose as Dose
    from mc.machine.machine import Machine as Machine
    from mc.machine.machine import read_machine as read_machine
    from mc.run.checkpoint import CheckpointRule as CheckpointRule
    from mc.run.options import RunOptions as RunOptions
    from mc.run.options import StopRule as StopRule
    from mc.run.progress import Listener as Listener
    from mc.run.progress import Progress as Progress
    from mc.run.report import RunReport as RunReport
    from mc.source.phase_space import PhaseSpace as PhaseSpace
    from mc.source.phase_space import open_phase_space as read_phase_space
    from mc.source.phase_space_tools import LatentSigma as LatentSigma
    from mc.source.phase_space_tools import Selection as Selection
    from mc.source.phase_space_tools import latent_sigma as latent_sigma
    from phantoms.errors import InputError as InputError
    from phantoms.grid import Grid as Grid
    from phantoms.structures import ROI as ROI
    from phantoms.structures import StructureSet as StructureSet
    from phantoms.structures import read_structures as read_structures
    from validation.commission.run import Commissioning as Commissioning
    from validation.commission.run import Effort as Effort
    from validation.engine.verdict import Verdict as CaseVerdict
    from validation.film.calibration import Calibration as FilmCalibration
    from validation.film.calibration import read_calibration as read_film_calibration
    from validation.film.check import FilmCheck as FilmCheck
    from validation.film.check import Options as FilmOptions
    from validation.limits.profiles import Profile as Profile
    from validation.metrics.dvh import Dvh as Dvh
    from validation.metrics.gamma import Criterion as Criterion
    from validation.metrics.gamma import GammaMap as GammaMap
    from validation.plan_check.case import PlanCase as PlanCase
    from validation.plan_check.case import load_case as load_case
    from validation.plan_check.comparison import Comparison as Comparison
    from validation.plan_check.curves import DvhCurves as DvhCurves
    from validation.plan_check.verdict import Verdict as Verdict
    from validation.report.picture import picture as picture
    from validation.scans import Scan as Scan
    from validation.scans import ScanSet as ScanSet
    from validation.scans import read_measured as read_scan
    from validation.whatif import SetupError as SetupError
    from validation.whatif import WhatIf as WhatIf
    from validation.workflow.arrays import dvh as dvh
    from validation.workflow.arrays import gamma as gamma
    from validation.workflow.computing import compute_dose as compute_dose
    from validation.workflow.demo import load_demo as load_demo
    from validation.workflow.doses import GivenDose as GivenDose
    from validation.workflow.doses import read_dose as read_dose
    from validation.workflow.dvhs import DvhTable as DvhTable
    from validation.workflow.dvhs import dvh_table as dvh_table
    from validation.workflow.films import calibrate_film as calibrate_film
    from validation.workflow.films import check_film as check_film
    from validation.workflow.inspect import inspect as inspect
    from validation.workflow.inspection import Inspection as Inspection
    from validation.workflow.kernels import warmup as warmup
    from validation.workflow.machines import MachineCalibration as MachineCalibration
    from validation.workflow.machines import calibrate as calibrate
    from validation.workflow.machines import commission as commission
    from validation.workflow.machines import simulate_head as simulate_head
    from validation.workflow.phantom_plan import PhantomPlan as PhantomPlan
    from validation.workflow.phantom_plan import load_phantom_plan as load_phantom_plan
    from validation.workflow.phase_spaces import filter_phase_space as filter_phase_space
    from validation.workflow.phase_spaces import merge_phase_spaces as merge_phase_spaces
    from validation.workflow.phase_spaces import rotate_phase_space as rotate_phase_space
    from validation.workflow.results import Result as Result
    from validation.workflow.results import compare as compare
    from validation.workflow.results import load_result as load_result
    from validation.workflow.saving import write_report as write_report
    from validation.workflow.saving import write_result as write_result
    from validation.workflow.setup_errors import what_if as what_if
    from validation.workflow.validate import validate as validate

_CONTENTS = {  # by the module that defines them; "public=own" where they have another name there
    "mc.compute.head": "HeadOptions HeadReport HeadRun",
    "mc.compute.plan_dose": "ComputedDose",
    "mc.config": "Physics",
    "mc.dose": "Dose",
    "mc.machine.machine": "Machine read_machine",
    "mc.run.checkpoint": "CheckpointRule",
    "mc.run.options": "RunOptions StopRule",
    "mc.run.progress": "Listener Progress",
    "mc.run.report": "RunReport",
    "mc.source.phase_space": "PhaseSpace read_phase_space=open_phase_space",
    "mc.source.phase_space_tools": "LatentSigma Selection latent_sigma",
    "phantoms.errors": "InputError",
    "phantoms.grid": "Grid",
    "phantoms.structures": "ROI StructureSet read_structures",
    "validation.commission.run": "Commissioning Effort",
    "validation.engine.verdict": "CaseVerdict=Verdict",
    "validation.film.calibration": "FilmCalibration=Calibration read_film_calibration=read_calibration",
    "validation.film.check": "FilmCheck FilmOptions=Options",
    "validation.limits.profiles": "Profile",
    "validation.metrics.dvh": "Dvh",
    "validation.metrics.gamma": "Criterion GammaMap",
    "validation.plan_check.case": "PlanCase load_case",
    "validation.plan_check.comparison": "Comparison",
    "validation.plan_check.curves": "DvhCurves",
    "validation.plan_check.verdict": "Verdict",
    "validation.report.picture": "picture",
    "validation.scans": "Scan ScanSet read_scan=read_measured",
    "validation.whatif": "SetupError WhatIf",
    "validation.workflow.arrays": "dvh gamma",
    "validation.workflow.computing": "compute_dose",
    "validation.workflow.demo": "load_demo",
    "validation.workflow.doses": "GivenDose read_dose",
    "validation.workflow.dvhs": "DvhTable dvh_table",
    "validation.workflow.films": "calibrate_film check_film",
    "validation.workflow.inspect": "inspect",
    "validation.workflow.inspection": "Inspection",
    "validation.workflow.kernels": "warmup",
    "validation.workflow.machines": "MachineCalibration calibrate commission simulate_head",
    "validation.workflow.phantom_plan": "PhantomPlan load_phantom_plan",
    "validation.workflow.phase_spaces": "filter_phase_space merge_phase_spaces rotate_phase_space",
    "validation.workflow.results": "Result compare load_result",
    "validation.workflow.saving": "write_report write_result",
    "validation.workflow.setup_errors": "what_if",
    "validation.workflow.validate": "validate",
}
_WHERE = {
    entry.partition("=")[0]: (module, entry.rpartition("=")[2])
    for module, entries in _CONTENTS.items()
    for entry in entries.split()
}
__all__ = [  # noqa: RUF022
    "load_case", "load_demo", "load_phantom_plan", "compute_dose", "compare", "write_result", "load_result",
    "what_if", "write_report", "picture", "read_dose", "read_structures", "gamma", "dvh", "dvh_table",
    "read_phase_space", "latent_sigma", "merge_phase_spaces", "filter_phase_space", "rotate_phase_space",
    "read_machine", "simulate_head", "calibrate", "read_scan", "commission", "calibrate_film",
    "read_film_calibration", "check_film", "validate", "inspect", "warmup",
    # types of arguments and results
    "CaseVerdict", "CheckpointRule", "Commissioning", "Comparison", "ComputedDose", "Criterion", "Dose",
    "Dvh", "DvhCurves", "DvhTable", "Effort", "FilmCalibration", "FilmCheck", "FilmOptions", "GammaMap",
    "GivenDose", "Grid", "HeadOptions", "HeadReport", "HeadRun", "InputError", "Inspection", "LatentSigma",
    "Listener", "Machine", "MachineCalibration", "PhantomPlan", "PhaseSpace", "Physics", "PlanCase",
    "Profile", "Progress", "ROI", "Result", "RunOptions", "RunReport", "Scan", "ScanSet", "Selection",
    "SetupError", "StopRule", "StructureSet", "Verdict", "WhatIf",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'mcverify' has no attribute {name!r}")
    module, own = _WHERE[name]
    globals()[name] = found = getattr(import_module(module), own)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if __name__ == "__main__":
    import sys

    from validation.cli import main

    sys.exit(main())
