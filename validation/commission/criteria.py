"""What a computed beam may differ from a measured one by, from editable TOML files."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from phantoms.kinds import CRITERIA
from validation.limits.profiles import DATA, read_limits
from validation.metrics.gamma import Criterion

DEFAULT = "default"


@dataclass(frozen=True)
class Criteria:
    """Limits of a commissioning.

    Parameters
    ----------
    name, title, status, source : str
        `status` says what authority the figures have.
    criterion : Criterion
        Of gamma along every scan.
    passing_percent : float
        Share of a scan's judged points that must have gamma up to 1.
    output_factor_percent : float
    max_sigma_percent : float
        Sigma of the curve, transport and latent together, above which a scan is not judged.
    build_up_cm : float or None
        Depth from which points are judged; None for the measured depth of maximum.
    """

    name: str
    title: str
    status: str
    source: str
    criterion: Criterion
    passing_percent: float
    output_factor_percent: float
    max_sigma_percent: float
    build_up_cm: float | None


def load_criteria(criteria: str | PathLike = DEFAULT) -> Criteria:
    """Load shipped criteria by their name, or any by the path of their TOML file.

    Raises
    ------
    InputError
        If there are none, or an entry is missing, unknown or impossible.
    """
    table = read_limits(criteria, DATA / "commissioning", (DEFAULT,), CRITERIA)
    required = "title status source dose_percent distance_mm passing_percent output_factor_percent"
    table.expect(f"{required} max_sigma_percent", "mode threshold_percent build_up_cm", kind=CRITERIA)
    found = Criteria(
        name=table.path.stem,
        title=table.text("title"),
        status=table.text("status"),
        source=table.text("source"),
        criterion=Criterion(
            table.number("dose_percent", above=0.0),
            table.number("distance_mm", above=0.0),
            table.choice("mode", ("global", "local"), "global") == "local",
            table.number("threshold_percent", above=-1e-9, default=0.0),
        ),
        passing_percent=table.number("passing_percent", above=0.0),
        output_factor_percent=table.number("output_factor_percent", above=0.0),
        max_sigma_percent=table.number("max_sigma_percent", above=0.0),
        build_up_cm=table.number("build_up_cm", above=0.0) if "build_up_cm" in table else None,
    )
    if found.passing_percent > 100.0:
        raise table.error("passing_percent", "is above 100")
    table.finish()
    return found
