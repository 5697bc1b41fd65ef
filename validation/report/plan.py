"""The report of a plan's check: what is said, in which order."""

from __future__ import annotations

from collections.abc import Iterator

from validation.plan_check.comparison import Comparison
from validation.plan_check.leading import scale
from validation.plan_check.summary import VERDICT, Answer
from validation.report import facts, tables
from validation.report.content import (
    Block,
    Box,
    Boxes,
    Facts,
    Heading,
    Pair,
    Pictures,
    Points,
    Report,
    Section,
    Text,
    table,
)
from validation.report.figures import Figures

# on the first page: warnings, and characters of one
MAX_WARNINGS, LONGEST_WARNING = 6, 160
PSEUDONYM = (
    "The pseudonym is made of the DICOM Patient ID and a secret of this installation, without which nobody "
    "can find whose it is."
)
AGREEMENT = (
    "The verdict is about agreement of plan and Monte Carlo. A clinical limit that both break does not count "
    "in it unless the profile says so."
)
SIGMA = "All sigmas are 1 sigma, transport and latent together, where nothing else is said."
MU = (
    "MU'/MU = D(plan)/D(MC): the factor on the monitor units for which Monte Carlo gives the plan's dose "
    "there. Only the sum of the beams is known, so all beams share it."
)
CALIBRATION = "The sigma of the calibration scales the whole dose; it is part of every other sigma of a dose."


def plan_report(comparison: Comparison) -> Report:
    """Everything a physicist reads about a plan before signing."""
    summary, profile = comparison.summary, comparison.profile
    label = comparison.plan.label or "a plan without label"
    drawn = Figures.of(comparison)
    return Report(
        title=f"Independent Monte Carlo check of {label}",
        subject=comparison.plan.label,
        status=summary.status,
        word=summary.word,
        headline=summary.headline,
        note=f'Limits: profile "{profile.name}" ({profile.title}), {profile.status}.',
        opening=tuple(_first_page(comparison, drawn.first)),
        sections=(
            Section("Tests", tuple(_tests(comparison))),
            Section("Clinical limits", tuple(_limits(comparison))),
            Section("Targets and organs at risk", tuple(_doses(comparison, drawn.dvh))),
            Section("Gamma", tuple(_gamma(comparison, drawn.gamma))),
            Section("Dose in planes and along lines", drawn.planes),
            Section("Point doses and monitor units", tuple(_points(comparison))),
            Section("Monte Carlo quality", tuple(_quality(comparison))),
            Section("Plan, CT, couch and overrides", tuple(_patient(comparison))),
            Section("Warnings", (_warnings(comparison),), "warnings"),
        ),
        provisional=summary.provisional,
        signed_first=True,
    )


def _first_page(comparison: Comparison, pictures: Pictures | None) -> Iterator[Block]:
    """All that is needed to sign, or not to."""
    summary = comparison.summary
    yield Boxes(tuple(_box(answer) for answer in summary.answers))
    yield Boxes((_box(summary.beam_model),))
    yield tables.key_table(comparison)
    if pictures is not None:
        yield pictures
    yield Facts(tuple(Pair(fact.label, fact.value) for fact in summary.facts))
    if count := len(comparison.warnings):
        more = f"; the first {MAX_WARNINGS}" if count > MAX_WARNINGS else ""
        text = f"{count} warning{'s' * (count > 1)} on reading and computing{more}:"
        yield Text(text, link="warnings")
        yield Points(tuple(map(_shortened, comparison.warnings[:MAX_WARNINGS])))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_WARNING else f"{text[:LONGEST_WARNING]} ..."


def _box(answer: Answer) -> Box:
    return Box(answer.title, answer.question, answer.word, answer.sentence, answer.status)


def _tests(comparison: Comparison) -> Iterator[Block]:
    summary = comparison.summary
    yield tables.test_table(comparison)
    if summary.in_order:
        yield Text(f"In order: {'; '.join(summary.in_order)}.")
    if summary.no_sign_of:
        yield Text(f"No sign of an error in: {', '.join(summary.no_sign_of)}.")
    yield Text(f"{SIGMA} Source of the limits: {comparison.profile.source}.", small=True)


def _limits(comparison: Comparison) -> Iterator[Block]:
    limits, missing = tables.constraint_table(comparison), tables.missing_organs(comparison)
    yield limits if limits.groups else Text("No dose limit was judged.")
    if missing:
        yield Text(f"The profile has limits for organs that no structure is named as: {', '.join(missing)}.")
    yield Text(AGREEMENT, small=True)


def _doses(comparison: Comparison, dvh: tuple[Pictures, ...]) -> Iterator[Block]:
    text = (
        "Doses of the whole course; MC with 1 sigma, transport and latent together. The structure whose "
        "doses differ most comes first. Volumes are those on the dose grid, to fractions of a voxel."
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
    if comparison.other_doses:
        yield Heading("Dose to medium and to water")
        yield tables.other_dose_table(comparison)
        yield Text(f"Compared with the plan is: {comparison.quantity}. Both are of one run.", small=True)
    if comparison.not_evaluated:
        yield Heading("Not evaluated")
        yield Points(tuple(f"{name}: {reason}" for name, reason in comparison.not_evaluated))
    yield from dvh


def _gamma(comparison: Comparison, figures: tuple[Pictures, ...]) -> Iterator[Block]:
    results = comparison.verdict.gamma
    criteria = "; ".join(str(result.map.criterion) for result in results)
    yield Text(
        "Passing rate in percent, the worst structure first. Reference: plan; evaluated: Monte Carlo. "
        f"{criteria}; 100 % is the plan's maximum, {results[0].map.normalisation:.2f} Gy. Noise: the noise "
        "ceiling, the rate that two doses reach which differ by nothing but Monte Carlo's noise, in the "
        "same voxels. A structure counts the voxels at least half inside it.",
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
    yield from _history(comparison)
    if comparison.calibration:
        yield Heading("Absolute dose calibration")
        yield facts.calibrations(comparison)
        yield Text(CALIBRATION, small=True)


def _patient(comparison: Comparison) -> Iterator[Block]:
    yield Facts(tuple(facts.header(comparison)))
    yield Text(PSEUDONYM, small=True)
    yield Heading("CT and couch")
    yield facts.ct(comparison)
    yield Heading("Materials")
    yield facts.materials(comparison)
    yield Heading("Overrides")
    found = facts.overrides(comparison)
    yield found if found.groups else Text("None.")


def _history(comparison: Comparison) -> Iterator[Block]:
    """Verdicts of the same dose before this one."""
    if comparison.history:
        yield Heading("Verdicts of this dose before")
        lines = (
            (past.created, VERDICT.get(past.status, past.status), f"{past.profile} ({past.title})")
            for past in comparison.history
        )
        yield table(("Made", "Verdict", "Limits"), lines, numbers_from=3)


def _warnings(comparison: Comparison) -> Block:
    return Points(comparison.warnings, numbered=True) if comparison.warnings else Text("None.")
