"""The report of a plan's check: what is said, in which order."""

from __future__ import annotations

from collections.abc import Iterator

from validation.plan_check.comparison import Comparison
from validation.report import facts, tables
from validation.report.choices import scale
from validation.report.content import Alarm, Block, Drawing, Facts, Heading, Points, Report, Section, Text
from validation.report.figures import Figures
from validation.report.text import dose, with_sigma

PSEUDONYM = "The pseudonym is the first 8 hexadecimal digits of the SHA-256 of the DICOM Patient ID."
AGREEMENT = (
    "The verdict is about agreement of plan and Monte Carlo. A clinical limit that both break is reported "
    "and fails nothing."
)
MU = (
    "MU'/MU = D(plan)/D(MC): the factor on the monitor units for which Monte Carlo gives the plan's dose "
    "there. Only the sum of the beams is known, so all beams share it."
)
CALIBRATION = "The sigma of the calibration scales the whole dose and is in no other sigma of this report."


def plan_report(comparison: Comparison) -> Report:
    """Everything a physicist reads about a plan before signing."""
    verdict, profile = comparison.verdict, comparison.profile
    label = comparison.plan.label or "a plan without label"
    drawn = Figures.of(comparison)
    return Report(
        title=f"Independent Monte Carlo check of {label}",
        subject=comparison.plan.label,
        status=verdict.status,
        word=tables.VERDICT[verdict.status],
        headline=tables.HEADLINES[verdict.status],
        note=f'Profile "{profile.name}" ({profile.title}): {profile.status}. Source: {profile.source}.',
        opening=tuple(_opening(comparison)),
        sections=(
            Section("Verdict", tuple(_verdict(comparison))),
            Section("Targets and organs at risk", tuple(_doses(comparison, drawn.dvh))),
            Section("Gamma", tuple(_gamma(comparison, drawn.gamma))),
            Section("Point doses and monitor units", tuple(_points(comparison))),
            Section("Dose in planes and along a line", drawn.planes),
            Section("Monte Carlo quality", tuple(_quality(comparison))),
            Section("CT, couch and overrides", tuple(_patient(comparison))),
            Section("Warnings", (_warnings(comparison),), "warnings"),
        ),
    )


def _opening(comparison: Comparison) -> Iterator[Block]:
    if flips := tables.flips(comparison):
        flip_lines = tuple(
            f"{flip.label}: plan {dose(flip.plan)}, Monte Carlo {with_sigma(flip.mc, flip.sigma)} {flip.unit}"
            f"{f' ({flip.note})' * bool(flip.note)}"
            for flip in flips
        )
        yield Alarm("Clinical limits that the plan keeps and Monte Carlo breaks:", flip_lines)
    if alarm := facts.latent_alarm(comparison):
        yield Alarm(alarm)
    if count := len(comparison.warnings):
        plural = "s" * (count > 1)
        yield Text(f"{count} warning{plural} on reading, computing and comparing.", link="warnings")
    yield Facts(tuple(facts.header(comparison)))
    yield Text(PSEUDONYM, small=True)


def _verdict(comparison: Comparison) -> Iterator[Block]:
    yield tables.test_table(comparison)
    limits, missing = tables.constraint_table(comparison), tables.missing_organs(comparison)
    if limits.groups:
        yield limits
    if missing:
        yield Text(f"The profile has limits for organs that no structure is named as: {', '.join(missing)}.")
    yield Text(AGREEMENT, small=True)


def _doses(comparison: Comparison, dvh: tuple[Drawing, ...]) -> Iterator[Block]:
    text = (
        "Doses of the whole course; MC with one transport sigma, the noise of different voxels taken as "
        "independent. Volumes are those on the dose grid, to fractions of a voxel."
    )
    reference, of = scale(comparison)
    text += f" Differences in Gy, in parentheses in percent of the {of}, {reference:.2f} Gy."
    yield Text(text, small=True)
    for title, targets, none in (
        ("Targets", True, "No target was evaluated."),
        ("Organs at risk and other structures", False, "No other structure was evaluated."),
    ):
        found = tables.metric_table(comparison, targets)
        yield Heading(title)
        yield found if found.groups else Text(none)
    if comparison.not_evaluated:
        yield Heading("Not evaluated")
        yield Points(tuple(f"{name}: {reason}" for name, reason in comparison.not_evaluated))
    yield from dvh


def _gamma(comparison: Comparison, figures: tuple[Drawing, ...]) -> Iterator[Block]:
    results = comparison.verdict.gamma
    criteria = "; ".join(str(result.map.criterion) for result in results)
    yield Text(
        "Passing rate in percent, in parentheses the number of voxels. Reference: plan; evaluated: Monte "
        f"Carlo. {criteria}; 100 % is the plan's maximum, {results[0].map.normalisation:.2f} Gy. The noise "
        "ceiling is the rate that two doses reach which differ by nothing but the Monte Carlo noise. A "
        "structure counts the voxels at least half inside it.",
        small=True,
    )
    yield tables.gamma_table(comparison)
    yield from figures


def _points(comparison: Comparison) -> Iterator[Block]:
    yield tables.regions(comparison)
    yield Heading("Isocentre and reference points")
    yield tables.points(comparison)
    radius = comparison.isocentres[0].radius_mm
    yield Text(f"Means over a sphere of {radius:.0f} mm radius. {MU}", small=True)
    yield Heading("Beams")
    yield tables.beams(comparison)


def _quality(comparison: Comparison) -> Iterator[Block]:
    yield Facts(tuple(facts.run(comparison)))
    if comparison.calibration:
        yield Heading("Absolute dose calibration")
        yield facts.calibrations(comparison)
        yield Text(CALIBRATION, small=True)


def _patient(comparison: Comparison) -> Iterator[Block]:
    yield facts.ct(comparison)
    yield Heading("Materials")
    yield facts.materials(comparison)
    yield Heading("Overrides")
    found = facts.overrides(comparison)
    yield found if found.groups else Text("None.")


def _warnings(comparison: Comparison) -> Block:
    return Points(comparison.warnings, numbered=True) if comparison.warnings else Text("None.")
