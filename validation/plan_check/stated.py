"""What plan and planned dose state about themselves, for whoever signs; empty where they do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phantoms.dicom import Dataset, optional, optional_text, read_dataset

MAKER = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
# of the dose; DICOM has no attribute of its own for the algorithm of a physical dose
ALGORITHM = ("AlgorithmName", "AlgorithmVersion")
TEXTS = ("DoseComment", "SeriesDescription")
MEDIUM, WATER = r"\b(to|in) medium\b|\bD[ _-]?m\b", r"\b(to|in) water\b|\bD[ _-]?w\b"


@dataclass(frozen=True)
class Stated:
    """Statements of an export.

    Parameters
    ----------
    approval : str
        Approval Status of the plan, such as APPROVED.
    intent : str
        Plan Intent, such as CURATIVE.
    date : str
        RT Plan Date, YYYYMMDD.
    dose_system : str
        Manufacturer, model and software version that the dose states.
    algorithm : str
        Name and version of the dose's algorithm.
    comment : str
        Dose Comment.
    quantity : {'', 'dose to medium', 'dose to water'}
        Which dose it is, if its comment or the description of its series says so.
    heterogeneity : str
        Tissue Heterogeneity Correction, such as IMAGE.
    """

    approval: str = ""
    intent: str = ""
    date: str = ""
    dose_system: str = ""
    algorithm: str = ""
    comment: str = ""
    quantity: str = ""
    heterogeneity: str = ""


NOTHING = Stated()  # of an export that states nothing


def read_stated(plan_file: Path, dose_files: Sequence[Path]) -> Stated:
    """Statements of a plan and its dose, of which the first file speaks for all.

    DICOM PS3.3 C.8.8.16 (300E,0002), C.8.8.9 (300A,000A) and C.8.8.3 (3004,0006), (3004,0014).

    Parameters
    ----------
    plan_file : Path
    dose_files : sequence of Path

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    plan = read_dataset(plan_file, header_only=True)
    dose_file = dose_files[0]
    dose = read_dataset(dose_file, header_only=True)
    return Stated(
        approval=optional_text(plan, "ApprovalStatus", plan_file),
        intent=optional_text(plan, "PlanIntent", plan_file),
        date=optional_text(plan, "RTPlanDate", plan_file),
        dose_system=_joined(dose, MAKER, dose_file),
        algorithm=_joined(dose, ALGORITHM, dose_file),
        comment=optional_text(dose, "DoseComment", dose_file),
        quantity=quantity_of(_joined(dose, TEXTS, dose_file)),
        heterogeneity=_joined(dose, ["TissueHeterogeneityCorrection"], dose_file),
    )


def quantity_of(text: str) -> str:
    """Which dose a text speaks of: 'dose to medium', 'dose to water', or '' for neither or both."""
    named = [re.search(words, text, re.IGNORECASE) is not None for words in (MEDIUM, WATER)]
    return {(True, False): "dose to medium", (False, True): "dose to water"}.get(tuple(named), "")


def _joined(data: Dataset, keywords: Sequence[str], path: Path) -> str:
    """Texts of several attributes, one after the other, those of one attribute with commas."""
    values = [optional(data, keyword, path) for keyword in keywords]
    texts = [value if isinstance(value, str) else ", ".join(map(str, value)) for value in values if value]
    return " ".join(texts)
