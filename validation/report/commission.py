"""The report of a commissioning: what is said, in which order."""

from __future__ import annotations

import math
from collections.abc import Iterator

from validation.commission.judge import FAIL, NOISY, NOT_JUDGED, PASS, Figure, JudgedField
from validation.commission.parameters import entries
from validation.commission.run import Commissioning
from validation.commission.tank import ACROSS, IN_DEPTH, IN_SHALLOW, SHALLOW
from validation.commission.tune import Parameter, Tuning
from validation.report.commission_figures import draw_cost, draw_field
from validation.report.content import (
    Block,
    Cell,
    Code,
    Facts,
    Group,
    Heading,
    Pair,
    Points,
    Report,
    Section,
    Table,
    Text,
    cells,
    table,
)
from validation.report.facts import PROVENANCE, RUN
from validation.report.text import PLUS_MINUS, signed
from validation.scans import Scan
from validation.scans.compare import ScanComparison

WORDS = {PASS: "PASS", FAIL: "FAIL", NOISY: "TOO NOISY", NOT_JUDGED: "NOT JUDGED"}
CLASSES = {PASS: "pass", FAIL: "fail", NOISY: "warn", NOT_JUDGED: "shown"}
HEADLINES = {
    PASS: "Every scan and output factor that was measured agrees within the criteria.",
    FAIL: "The computed beam differs from the measured one by more than the criteria allow.",
    NOISY: "Nothing disagrees, but some curves are too noisy to be judged: compute longer.",
}
SCAN_COLUMNS = (
    "Status",
    "Field",
    "Scan",
    "Passing [%]",
    "Largest gamma",
    "Mean difference [%]",
    "Transport sigma [%]",
    "Latent sigma [%]",
    "Points judged",
)
FACTOR_COLUMNS = ("Status", "Field", "Condition", "Measured", "Computed", "Difference [%]")
NAMES = {  # of figures, their unit, factor to it, digits
    "dmax_cm": ("dmax", "mm", 10.0, 1),
    "D10_percent": ("D(10 cm) / Dmax", "%", 1.0, 2),
    "D20_percent": ("D(20 cm) / Dmax", "%", 1.0, 2),
    "D20_D10": ("D(20 cm) / D(10 cm)", "", 1.0, 4),
    "TPR20_10": ("TPR20,10, estimated", "", 1.0, 4),
    "field_cm": ("field size, 50 %", "mm", 10.0, 2),
    "centre_cm": ("centre of the field", "mm", 10.0, 2),
    "inflection_field_cm": ("field size, inflection points", "mm", 10.0, 2),
    "penumbra_cm": ("penumbra, 80 to 20 %", "mm", 10.0, 2),
    "flatness_percent": ("flatness", "%", 1.0, 2),
    "symmetry_percent": ("symmetry", "%", 1.0, 2),
}


def commission_report(found: Commissioning) -> Report:
    """Everything a physicist reads about a machine's beams before signing."""
    criteria = found.criteria
    sections = [Section("Verdict", tuple(_verdict(found)))]
    if found.tuning is not None:
        sections.append(Section("Tuning of the source", tuple(_tuning(found, found.tuning))))
    sections += [Section(field.field.label, tuple(_field(field))) for field in found.fields]
    sections += [
        Section("Monte Carlo quality", tuple(_runs(found))),
        Section(
            "Warnings",
            (Points(tuple(found.warnings), numbered=True) if found.warnings else Text("None."),),
            "warnings",
        ),
    ]
    opening: list[Block] = [Facts(tuple(header(found)))]
    if count := len(found.warnings):
        opening.insert(
            0, Text(f"{count} warning{'s' * (count > 1)} on reading and comparing.", link="warnings")
        )
    return Report(
        title=f"Commissioning of {found.machine.name}: Monte Carlo against water tank",
        subject=f"commissioning of {found.machine.name}",
        status=CLASSES[found.status],
        word=WORDS[found.status],
        headline=HEADLINES[found.status],
        note=f'Criteria "{criteria.name}" ({criteria.title}): {criteria.status}. Source: {criteria.source}.',
        opening=tuple(opening),
        sections=tuple(sections),
    )


def _verdict(found: Commissioning) -> Iterator[Block]:
    criteria = found.criteria
    yield Text(
        f"Gamma {criteria.criterion} (measured: reference; computed: evaluated) at the points beyond the "
        f"build-up; {criteria.passing_percent:g} % of them must pass. Depth doses are scaled to each other "
        "at 10 cm, profiles by their means over the central 60 % of the field. Mean difference and sigmas "
        "are over the judged points above half of the maximum. Above "
        f"{criteria.max_sigma_percent} % of both sigmas together a curve is too noisy to judge. Computed "
        f"curves are averaged {averaging_text()}.",
        small=True,
    )
    lines = (
        (
            Cell(line["word"], status=line["status"]),
            line["field"],
            Cell(line["scan"], line["place"]),
            *(line[key] for key in ("passing", "largest", "difference", "sigma", "latent", "points")),
        )
        for line in scan_lines(found)
    )
    yield table(SCAN_COLUMNS, lines, 3)
    if found.output_factors:
        lines = (
            (
                Cell(line["word"], status=line["status"]),
                *(line[key] for key in ("label", "condition", "measured", "computed", "difference")),
            )
            for line in factor_lines(found)
        )
        yield Heading("Output factors")
        yield table(FACTOR_COLUMNS, lines, 3)


def _tuning(found: Commissioning, tuning: Tuning) -> Iterator[Block]:
    yield Text(
        "Cost: mean square of the difference in units of its tolerance (dose criterion and slope times "
        "distance), corrected for the bias of noise; 1 is an rms gamma of 1. Curves are taken as quadratic "
        "in each parameter between the runs, bent as far as noise lets it be seen. Sigma: transport and "
        "phase space, by leaving out one group of histories after the other. Output factors take no part.",
        small=True,
    )
    yield table(("Parameter", "Start", "Least cost at", ""), value_lines(tuning), texts_from=3)
    yield draw_cost(tuning)
    yield Text(f"Cost at the minimum: {cost_text(found)}.")
    if lines := entry_lines(found):
        yield Text("In the machine file (tuned.toml beside this report holds them):")
        yield Code(tuple(lines))
    yield Heading("Runs")
    yield table((*map(_with_unit, tuning.parameters), "Cost"), run_lines(tuning), 0)


def _field(field: JudgedField) -> Iterator[Block]:
    yield from draw_field(field)
    if tables := figure_tables(field):
        yield Heading("Figures of the curves")
        yield Text(
            "Computed with one sigma, transport and phase space together, by leaving out one group of "
            "histories after the other.",
            small=True,
        )
        groups = (Group(tuple(map(cells, lines)), Cell(name)) for name, lines in tables)
        yield Table(("Scan", "Figure", "Measured", "Computed", "Difference"), tuple(groups), 2)


def _runs(found: Commissioning) -> Iterator[Block]:
    for field in found.fields:
        yield Heading(field.field.label)
        yield Facts(tuple(_quality(field)))
    yield Heading("Software")
    yield Facts(tuple(Pair(label, str(found.made[key])) for key, label in PROVENANCE if found.made.get(key)))


def header(found: Commissioning) -> list[Pair]:
    """Which machine, which scans, which software."""
    scans = [scan.comparison.scan for field in found.fields for scan in field.scans]
    detectors = dict.fromkeys(scan.detector for scan in scans)
    return [
        Pair("Machine", found.machine.name),
        Pair("Machine file, SHA-256", found.machine.sha256),
        Pair("Fields", "; ".join(field.field.label for field in found.fields)),
        Pair("Scans", f"{len(scans)}, of {', '.join(dict.fromkeys(scan.file.name for scan in scans))}"),
        Pair("Detectors", ", ".join(detectors)),
        Pair("mcverify", found.made["mcverify"]),
    ]


def scan_lines(found: Commissioning) -> list[dict[str, str]]:
    """A line of the table of scans for each of them."""
    lines = []
    for field in found.fields:
        for judged in field.scans:
            comparison = judged.comparison
            lines.append(
                {
                    "status": CLASSES[judged.status],
                    "word": WORDS[judged.status],
                    "field": field.field.label,
                    "scan": scan_name(judged.comparison.scan),
                    "passing": _or_dash(comparison.passing_percent, 1),
                    "largest": _or_dash(comparison.max_gamma, 2),
                    "difference": _mean_difference(judged.comparison),
                    "sigma": _or_dash(comparison.sigma_percent, 2),
                    "latent": _or_dash(comparison.latent_percent, 2),
                    "points": f"{int(comparison.judged.sum())} of {len(comparison.positions)}",
                    "place": f"{comparison.scan.file.name}, line {comparison.scan.line}",
                }
            )
    return lines


def scan_name(scan: Scan) -> str:
    """Kind and depth of a scan."""
    return scan.kind if scan.depth_cm is None else f"{scan.kind}, depth {scan.depth_cm:.4g} cm"


def factor_lines(found: Commissioning) -> list[dict[str, str]]:
    """A line for each output factor."""
    return [
        {
            "status": CLASSES[judged.status],
            "word": WORDS[judged.status],
            "label": judged.factor.label,
            "condition": f"SSD {judged.factor.ssd_cm:g} cm, depth {judged.factor.depth_cm:g} cm",
            "measured": f"{judged.factor.value:.4f}",
            "computed": f"{judged.computed:.4f} {PLUS_MINUS} {judged.sigma:.4f}",
            "difference": signed(judged.difference_percent, 2),
        }
        for judged in found.output_factors
    ]


def figure_tables(field: JudgedField) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Figures of every scan of a field: name, measured, computed with sigma, difference."""
    return [
        (scan_name(judged.comparison.scan), [_figure_line(figure) for figure in judged.figures])
        for judged in field.scans
        if judged.figures
    ]


def value_lines(tuning: Tuning) -> list[tuple[str, ...]]:
    """A line for each tuned parameter: start, found value with sigma, and what to make of it."""
    lines = []
    for k, parameter in enumerate(tuning.parameters):
        if tuning.on_border[k]:
            remark = "at the end of the range that was searched: the minimum may lie beyond"
        elif tuning.determined(k):
            remark = "determined by these scans"
        else:
            remark = "not determined by these scans: the cost hardly answers"
        digits = digits_of(tuning.sigma[k])
        found = f"{tuning.best[k]:.{digits}f} {PLUS_MINUS} {tuning.sigma[k]:.{digits}f}"
        if not tuning.determined(k):  # the sigma of what is not determined means nothing
            found = f"{tuning.best[k]:.4g}"
        lines.append(
            (
                _with_unit(parameter),
                f"{parameter.start:g}",
                found,
                remark,
            )
        )
    return lines


def entry_lines(found: Commissioning) -> list[str]:
    """What the machine file says with the tuned parameters, by its tables."""
    if found.tuning is None:
        return []
    names = [parameter.name for parameter in found.tuning.parameters]
    lines: list[str] = []
    for entry in entries(found.machine, found.fields[0].field.quality.head, names):
        if f"[{entry.table}]" not in lines:
            lines.append(f"[{entry.table}]")
        lines.append(str(entry))
    return lines


def cost_text(found: Commissioning) -> str:
    """Cost of the curves that were judged, and before it what the search expected of them."""
    cost = f"{found.cost[0]:.3f} {PLUS_MINUS} {found.cost[1]:.3f}"
    if found.tuning is None:
        return cost
    expected = f"{found.tuning.cost:.3f} {PLUS_MINUS} {found.tuning.cost_sigma:.3f}"
    return f"expected {expected}; found with other random numbers {cost}"


def run_lines(tuning: Tuning) -> list[tuple[str, ...]]:
    """A line for each run of a tuning: values and cost."""
    return [
        (*(f"{value:g}" for value in run.values), f"{run.cost:.3f} {PLUS_MINUS} {run.sigma:.3f}")
        for run in tuning.evaluations
    ]


def digits_of(sigma: float) -> int:
    """Decimals that show a sigma to two significant digits."""
    return 3 if not sigma > 0.0 else max(0, 1 - math.floor(math.log10(sigma)))


def _with_unit(parameter: Parameter) -> str:
    return f"{parameter.name} [{parameter.unit}]"


def averaging_text() -> str:
    """Over what the computed curves are averaged."""
    return (
        f"across the scan over {ACROSS:g} cm (a fifth of the field at most), a profile's in depth "
        f"over {IN_DEPTH:g} cm (above {SHALLOW:g} cm over {IN_SHALLOW:g} cm)"
    )


def _figure_line(figure: Figure) -> tuple[str, ...]:
    name, unit, factor, digits = NAMES[figure.name]
    if math.isnan(figure.measured) or math.isnan(figure.computed):
        return f"{name} [{unit}]" if unit else name, "-", "-", "-"
    measured, computed, sigma = (factor * value for value in (figure.measured, figure.computed, figure.sigma))
    return (
        f"{name} [{unit}]" if unit else name,
        f"{measured:.{digits}f}",
        f"{computed:.{digits}f} {PLUS_MINUS} {sigma:.{digits}f}",
        signed(computed - measured, digits),
    )


def _mean_difference(comparison: ScanComparison) -> str:
    high = comparison.difference[comparison.high]
    return signed(float(high.mean()), 2) if high.size else "-"


def _or_dash(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _quality(field: JudgedField) -> list[Pair]:
    run = field.computed.report.to_dict()
    shown = ("transport_uncertainty", "latent_uncertainty")  # of the whole tank, not of the curves
    pairs = [Pair(label, text(run[key])) for key, label, text in RUN if key in run and key not in shown]
    return [Pair("Side of the voxels [mm]", f"{10 * field.computed.voxel_cm:g}"), *pairs]
