"""What whoever signs reads first: does it agree, are the limits kept, can one rely on it; seven numbers.

All of it is data: the report, the notebook and the command print it, each as it can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from validation.limits.constraints import FLIP, FLIP_IN_NOISE, KEPT, KEPT_BY_MC, ConstraintRow
from validation.metrics.numbers import plain
from validation.plan_check.judgement import Test, worst
from validation.plan_check.key_numbers import KeyNumber, key_numbers
from validation.plan_check.leading import CORD, leading_gamma
from validation.plan_check.plan_facts import Fact, plan_facts
from validation.plan_check.verdict import Verdict

if TYPE_CHECKING:
    from validation.plan_check.comparison import Comparison

PASS, WARN, FAIL, NOISY, SHOWN = "pass", "warn", "fail", "noisy", "shown"
VERDICT = {PASS: "PASS", WARN: "PASS WITH WARNINGS", FAIL: "FAIL", NOISY: "TOO NOISY"}
HEADLINES = {
    PASS: "Plan and Monte Carlo agree within all limits of the profile.",
    WARN: "Plan and Monte Carlo agree within the action limits; the warnings need a look.",
    FAIL: "Plan and Monte Carlo disagree beyond the limits of the profile.",
    NOISY: "The noise is too large for the limits of the profile: no PASS and no FAIL.",
}
AGREES = {PASS: "AGREES", WARN: "WARNING", FAIL: "DISAGREES", NOISY: "NOT JUDGED", SHOWN: "NOT JUDGED"}
RELIABLE = {PASS: "SUFFICIENT", WARN: "LIMITED", FAIL: "NOT TO BE TRUSTED", NOISY: "TOO NOISY"}
# of beam models: the least established first
STATES = {"changed": WARN, "generic": WARN, "calibrated": WARN, "commissioned": PASS}
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
DIAGNOSIS, DIFFERENCE = "diagnosis: ", ", MC - plan"


@dataclass(frozen=True)
class Answer:
    """An answer to one question of whoever signs.

    Parameters
    ----------
    title, question : str
    status : {'pass', 'warn', 'fail', 'noisy', 'shown'}
        'shown' where nothing was judged.
    word : str
        In capitals.
    sentence : str
    """

    title: str
    question: str
    status: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Summary:
    """What is read first of a comparison.

    Parameters
    ----------
    status : {'pass', 'warn', 'fail', 'noisy'}
        Of the verdict.
    word, headline : str
        The verdict in capitals, and in a sentence that names dose limits that are broken in spite of it.
    provisional : str
        Empty, or why the run is not what was asked for.
    agreement, limits, statistics, beam_model : Answer
    numbers : tuple of KeyNumber
    facts : tuple of Fact
    in_order : tuple of str
        Technical tests that passed.
    no_sign_of : tuple of str
        Planning errors that were looked for and not seen.
    """

    status: str
    word: str
    headline: str
    provisional: str
    agreement: Answer
    limits: Answer
    statistics: Answer
    beam_model: Answer
    numbers: tuple[KeyNumber, ...]
    facts: tuple[Fact, ...]
    in_order: tuple[str, ...]
    no_sign_of: tuple[str, ...]

    @classmethod
    def of(cls, comparison: Comparison) -> Summary:
        """Sum up a comparison."""
        verdict = comparison.verdict
        technical, agreement = technical_tests(verdict), agreement_tests(verdict)
        passed = [test for test in agreement if test.status == PASS]
        return cls(
            status=verdict.status,
            word=VERDICT[verdict.status],
            headline=_headline(verdict),
            provisional=comparison.statistics.provisional,
            agreement=_agreement(comparison, agreement),
            limits=_limits(comparison),
            statistics=_statistics(comparison, technical),
            beam_model=_beam_model(comparison),
            numbers=key_numbers(comparison),
            facts=plan_facts(comparison),
            in_order=tuple(_found(test) for test in technical if test.status == PASS),
            no_sign_of=tuple(
                test.name.removeprefix(DIAGNOSIS).partition(",")[0]
                for test in passed
                if test.name.startswith(DIAGNOSIS)
            ),
        )

    @property
    def answers(self) -> tuple[Answer, Answer, Answer]:
        """Agreement, dose limits, statistics."""
        return self.agreement, self.limits, self.statistics

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for strict JSON: None for what could not be determined."""
        return plain({name: getattr(self, name) for name in self.__dataclass_fields__})


def limit_tests(verdict: Verdict) -> list[Test]:
    """Tests of the clinical dose limits."""
    labels = {row.label for row in verdict.constraints}
    return [test for test in verdict.tests if test.name in labels or test.name == "dose limits"]


def agreement_tests(verdict: Verdict) -> list[Test]:
    """Tests that compare both doses: gamma, differences of metrics, diagnosis."""
    return [
        test
        for test in verdict.tests
        if test.name.startswith(("gamma ", "diagnosis")) or test.name.endswith(DIFFERENCE)
    ]


def technical_tests(verdict: Verdict) -> list[Test]:
    """Tests of the Monte Carlo dose itself: noise, voxels, the run."""
    others = [*limit_tests(verdict), *agreement_tests(verdict)]
    return [test for test in verdict.tests if test not in others]


def _found(test: Test) -> str:
    """Name and value of a test."""
    if test.value is None:
        return test.name
    number = f"{test.value:,}" if isinstance(test.value, int) else f"{test.value:.3g}"
    return f"{test.name} {number} {test.unit}".rstrip()


def _headline(verdict: Verdict) -> str:
    """The verdict in a sentence, and dose limits that are broken and do not count in it."""
    broken = [row for row in verdict.constraints if row.plan_margin is not None and _is_broken(row)]
    uncounted = [row for row in broken if row.status in (SHOWN, PASS)]
    text = HEADLINES[verdict.status]
    failed = [kind for kind in (agreement_tests, limit_tests) if any(t.status == FAIL for t in kind(verdict))]
    if verdict.status == FAIL and not failed:
        text = "The run itself is not to be trusted."
    elif failed == [limit_tests]:
        text = "Monte Carlo breaks dose limits that the plan keeps."
    if uncounted:
        names = ", ".join(dict.fromkeys(f"{row.place} {row.metric}" for row in uncounted))
        plural = "s are" if len(uncounted) > 1 else " is"
        text += f" {len(uncounted)} dose limit{plural} broken all the same: {names}."
    return text


def _is_broken(row: ConstraintRow) -> bool:
    return min(row.plan_margin, row.margin) < 0


def _agreement(comparison: Comparison, tests: Sequence[Test]) -> Answer:
    status = worst(test.status for test in tests)
    judged = status != NOISY
    bad = [test for test in tests if test.status == status] if status in (WARN, FAIL) else []
    if not judged:
        sentence = "Too noisy to say."
        known = [test for test in tests if test.status == NOISY and None not in (test.value, test.sigma)]
        if known:
            sentence = f"Too noisy to say: {_in_words(known[0])}, {_one_sigma(known[0].sigma)}."
    elif bad:
        # a diagnosis names the cause of the differences
        notes = [test.note.rstrip(".") for test in bad if test.name.startswith(DIAGNOSIS)]
        causes = [f"{note[:1].upper()}{note[1:]}" for note in notes]
        others = [test for test in bad if not test.name.startswith(DIAGNOSIS)]
        parts = [f"{_in_words(test)}{_beyond(test)}" for test in others[:2]]
        if len(others) > 2:
            parts.append(f"{len(others) - 2} more beyond their limits")
        sentence = ". ".join(_capital(part) for part in ("; ".join(parts), *causes[:2]) if part) + "."
    elif not any(test.status == PASS for test in tests):
        sentence = "The profile has no limits on the agreement of both doses."
    else:
        passed = [test for test in tests if test.status == PASS]
        gammas = [test for test in passed if test.name.startswith("gamma ")]
        differences = [test for test in passed if test.name.endswith(DIFFERENCE)]
        parts = [_in_words(test) for test in (*differences[:1], *gammas[:1])]
        if any(test.name.startswith(DIAGNOSIS) for test in passed):
            parts.append("no sign of an error of the planning system")
        sentence = _capital("; ".join(parts)) + "."
    if judged:
        sentence += _worst_structure(comparison)
    return Answer("Agreement", "Do plan and Monte Carlo agree?", status, AGREES[status], sentence)


def _in_words(test: Test) -> str:
    """What a test of the agreement found, in plain words."""
    if test.value is None:
        return f"{test.name}: {test.note}"
    if test.name.endswith(DIFFERENCE):
        where = test.name.removesuffix(DIFFERENCE)
        side = "above" if test.value >= 0 else "below"
        # of another dose than the plan's own, such as the prescription
        of = test.unit.removeprefix("%").replace(" of plan", "")
        return f"{where} is {abs(test.value):.1f} %{of} {side} the plan's"
    criterion, _, place = test.name.partition(", ")
    return f"{criterion.removesuffix(' global')} passes in {test.value:.1f} % of {place.rpartition(', ')[2]}"


def _capital(text: str) -> str:
    """With a capital at its beginning; names of structures stay as they are."""
    return f"{text[0].upper()}{text[1:]}" if text.startswith(("gamma ", "no ")) else text


def _beyond(test: Test) -> str:
    """The limit that a test is beyond."""
    limit = test.action if test.status == FAIL else test.tolerance
    if limit is None or test.value is None:
        return ""
    return f" (limit {limit:g} %)"


def _worst_structure(comparison: Comparison) -> str:
    """The structure with the lowest passing rate, if that is below what is asked for in BODY."""
    result = leading_gamma(comparison)
    asked = min((g.tolerance for g in comparison.profile.gamma if g.tolerance is not None), default=95.0)
    low = {
        name: rate
        for name, rate in result.by_structure.items()
        if rate < asked  # NaN is not
    }
    if not low:
        return ""
    name = min(low, key=low.__getitem__)
    return f" Lowest gamma of a structure: {name}, {low[name]:.1f} %."


def _limits(comparison: Comparison) -> Answer:
    verdict = comparison.verdict
    rows = [row for row in verdict.constraints if row.plan_margin is not None]
    missing = any(row.organ == CORD and row.structure is None for row in verdict.constraints)
    noisy = {test.name for test in limit_tests(verdict) if test.status == NOISY}
    broken = [row for row in rows if _is_broken(row) and row.label not in noisy]
    if not rows:
        notes = [test.note for test in limit_tests(verdict) if test.name == "dose limits"]
        sentence = notes[0] if notes else "the profile has no dose limit for the structures of this plan"
        status, word, sentence = SHOWN, "NOT JUDGED", f"{sentence[0].upper()}{sentence[1:]}."
    elif broken:
        status, word, sentence = _broken(broken, len(rows) - len(noisy))
        sentence += f" {len(noisy)} not judged, because of the noise." * bool(noisy)
    elif noisy:
        sentence = f"{len(noisy)} of {len(rows)} limits not judged, because of the noise."
        status, word = NOISY, "NOT JUDGED"
    else:
        tight = min(rows, key=lambda row: row.margin / row.limit)
        all_of_them = f"All {len(rows)} limits are" if len(rows) > 1 else "The one limit is"
        sentence = (
            f"{all_of_them} kept by plan and Monte Carlo; the tightest is {tight.place} {tight.metric}, "
            f"{abs(tight.margin):.2f} {tight.unit} within its limit of {tight.limit:g} {tight.unit}."
        )
        status, word = PASS, "KEPT"
    if missing:
        sentence += f" No structure is named as {CORD}: its limits were not judged."
        status = worst((status, WARN))
    return Answer("Clinical limits", "Are the clinical limits kept?", status, word, sentence)


def _broken(broken: Sequence[ConstraintRow], count: int) -> tuple[str, str, str]:
    """Status, word and sentence where limits are broken."""
    # flips first, as the verdict has them; then by how far they are broken
    first = sorted(broken, key=lambda row: (not row.flip, min(row.plan_margin, row.margin) / row.limit))[0]
    by = {
        FLIP: "kept by the plan, broken by Monte Carlo",
        FLIP_IN_NOISE: "kept by the plan, broken by Monte Carlo within its noise",
        KEPT_BY_MC: "broken by the plan, kept by Monte Carlo",
        KEPT: "kept by both",
    }.get(first.outcome, "broken by both")
    sentence = (
        f"{first.place} {first.metric} is {first.mc:.2f} {first.unit} by Monte Carlo and {first.plan:.2f} by "
        f"the plan, the limit {first.limit:g} ({by}); {count - len(broken)} of {count} limits are kept."
    )
    if all(row.outcome == FLIP_IN_NOISE for row in broken):
        return WARN, "UNDECIDED", sentence
    return FAIL, "BROKEN BY MONTE CARLO" if first.outcome == FLIP else "BROKEN", sentence


def _statistics(comparison: Comparison, technical: Sequence[Test]) -> Answer:
    stated = comparison.statistics
    bad = [test for test in technical if test.status in (WARN, FAIL)]
    status = worst((stated.status, *(test.status for test in bad)))
    sentence = stated.sentence
    if bad:
        named = "; ".join(f"{_found(test)}{_technical_limit(test)}" for test in bad)
        sentence = f"{sentence} {named[0].upper()}{named[1:]}."
    if stated.provisional:
        sentence = f"Provisional ({stated.provisional}). {sentence}"
    return Answer("Statistics", "Can I rely on the statistics?", status, RELIABLE[status], sentence)


def _technical_limit(test: Test) -> str:
    limit = test.action if test.status == FAIL else test.tolerance
    return "" if not limit else f", more than {limit:g} {test.unit}"


def _beam_model(comparison: Comparison) -> Answer:
    """What the beam model is worth, as the dose states it."""
    models = comparison.dose.provenance.get("beam_models", [])
    title, question = "Beam model", "What is the beam model worth?"
    if not models:
        sentence = "The dose does not state what its beam model rests on."
        return Answer(title, question, SHOWN, "NOT STATED", sentence)
    states = [str(model["state"]) for model in models]
    least = min(states, key=lambda state: list(STATES).index(state) if state in STATES else -1)
    sentence = " ".join(f"{model['beam']}: {str(model['statement']).rstrip('.')}." for model in models)
    word = "CHANGED SINCE COMMISSIONING" if least == "changed" else least.upper()
    return Answer(title, question, STATES.get(least, SHOWN), word, sentence)


def _one_sigma(percent: float) -> str:
    return f"{PLUS_MINUS}{percent:.1f} % (1 sigma)" if math.isfinite(percent) else "its sigma is unknown"
