"""Verdicts of validation cases: figures with their uncertainty and limit, and the rule that judges them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mc.config import Physics
from mc.run.progress import Progress
from phantoms.listing import Listing

ALLOWANCE = 2.0  # [sigma]


@dataclass(frozen=True)
class Check:
    """One figure and its limit.

    A figure fails when it exceeds its limit by more than `allowance` of its own standard uncertainties:
    then the excess is not noise. The uncertainty is stated, so that nobody takes a noisy pass for a
    close one.

    Parameters
    ----------
    name : str
    value : float
        Signed; its size is judged.
    limit : float
    sigma : float
        Standard uncertainty of the value; 0 for one without noise.
    unit : str
    allowance : float
        2 for a single figure; larger for the worst of many (see `judge`).
    """

    name: str
    value: float
    limit: float
    sigma: float = 0.0
    unit: str = "%"
    allowance: float = ALLOWANCE

    @property
    def passed(self) -> bool:
        """Whether the figure keeps its limit; one that is not a number does not."""
        return abs(self.value) <= self.limit + self.allowance * self.sigma


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    Parameters
    ----------
    case : str
    checks : tuple of Check
    physics : Physics, optional
        Options of the transport.
    histories : float
    cpu_seconds : float
    facts : dict
        Further figures worth keeping, fit for JSON.
    draw : callable, optional
        Writes the case's figure to a path.
    skipped : str
        Why the case was not run; empty if it was.
    """

    case: str
    checks: tuple[Check, ...] = ()
    physics: Physics | None = None
    histories: float = 0.0
    cpu_seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Path], None] | None = None
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether every check is; a case without checks is not."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def _repr_html_(self) -> str:
        columns = ("check", "value", "sigma", "limit", "")
        rows = [
            (
                check.name,
                f"{check.value:+.3g} {check.unit}",
                f"{check.sigma:.2g}",
                f"{check.limit:g}",
                "passed" if check.passed else "FAILED",
            )
            for check in self.checks
        ]
        word = f"skipped, {self.skipped}" if self.skipped else "passed" if self.passed else "FAILED"
        return Listing.of(f"{self.case}: {word}", columns, rows, (1, 2, 3))._repr_html_()

    def as_dict(self) -> dict[str, Any]:
        """For `verdict.json`."""
        return {
            "case": self.case,
            "passed": self.passed,
            "checks": [asdict(check) | {"passed": check.passed} for check in self.checks],
            "histories": self.histories,
            "cpu_seconds": self.cpu_seconds,
            "physics": asdict(self.physics) if self.physics else None,
            **self.facts,
        }


@dataclass(frozen=True)
class Options:
    """How cases are run.

    Parameters
    ----------
    out : Path
        Folder of the sums that let a run go on, and of the results.
    quick : bool
        Fewer histories, systematic limits of 1 %.
    record : bool
        Whether the result is to be kept in the case's folder.
    threads : int, optional
        All processors if not given.
    on_progress : callable
        Called after every batch.
    """

    out: Path
    quick: bool = False
    record: bool = False
    threads: int | None = None
    on_progress: Callable[[Progress], None] = lambda _: None

    def limit(self, full: float) -> float:
        """A systematic limit [%]: as given in a full run, 1 % in a quick one."""
        return max(full, QUICK_LIMIT) if self.quick else full


QUICK_LIMIT = 1.0  # [%]
