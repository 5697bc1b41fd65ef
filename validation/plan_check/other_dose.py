"""Where dose to medium and to water were both scored: the metrics of the one that is not compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mc.dose import Dose
from validation.metrics.dvh import Dvh
from validation.plan_check.verdict import TABLE_METRICS, Row, Structure


@dataclass(frozen=True)
class OtherDose:
    """A metric in dose to medium and in dose to water of the same run; the noise of both is the same.

    Parameters
    ----------
    structure : str
    target : bool
    metric, unit : str
    plan, compared, other : float or None
        Of the planned dose, of the Monte Carlo dose that is compared with it, and of the one that is not.
    """

    structure: str
    target: bool
    metric: str
    unit: str
    plan: float | None
    compared: float | None
    other: float | None


def other_doses(
    structures: Sequence[Structure], rows: Sequence[Row], other: Dose | None
) -> tuple[OtherDose, ...]:
    """Metrics of every structure in the dose that is not compared.

    Parameters
    ----------
    structures : sequence of Structure
    rows : sequence of Row
        Those of the dose that is compared.
    other : Dose or None
        On the same grid; None if it was not scored.
    """
    if other is None:
        return ()
    found = []
    for structure in structures:
        known = {row.metric: row for row in rows if row.structure == structure.name}
        metrics = [metric for metric in TABLE_METRICS if metric in known]
        values = Dvh(structure.mc_cells, other.mean).metrics(metrics)
        found += [
            OtherDose(
                structure.name,
                structure.is_target,
                metric,
                known[metric].unit,
                known[metric].plan,
                known[metric].mc,
                values[metric].value,
            )
            for metric in metrics
        ]
    return tuple(found)
