"""Profiles of limits: what a plan and its Monte Carlo check may differ by, from editable TOML files.

Organs are known by the names of `validation/data/synonyms.toml`, and by those a profile adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path

from phantoms.errors import InputError
from phantoms.kinds import PROFILE
from phantoms.schema import Table, meant, read_table
from validation.limits import DEFAULT
from validation.metrics.dvh import parse_metric, volume_note
from validation.metrics.gamma import Criterion

DATA = Path(__file__).parents[1] / "data"
# Kinds of planning-system errors a profile may limit; validation.diagnosis describes them.
DIAGNOSES = ("output", "beam", "shift", "depth", "profile", "couch", "density")
MAX_MARGIN_MM = 50.0  # of a planning risk volume; more is a slip
MAX_VOXEL_MM, MAX_SIGMA_PERCENT, FLIP_SIGMAS = 2.0, 1.0, 2.0  # where a profile does not state them
ANY = "any"  # number of fractions
PROFILE_KEYS = (
    "title status source max_voxel_mm max_sigma_percent flip flip_sigmas broken_by_both "
    "constraints_from organs gamma difference constraint diagnosis"
)
TARGET = "target"  # in place of an organ: the plan's targets


@dataclass(frozen=True)
class Organ:
    """An organ and how its structures are named.

    Parameters
    ----------
    name : str
    patterns, exclude : tuple of str
        Shell patterns for the structure's name in lower case, letters and digits only.
    """

    name: str
    patterns: tuple[str, ...]
    exclude: tuple[str, ...]

    def match(self, structure: str) -> str | None:
        """The pattern by which `structure` is a name of this organ; None if it is not."""
        plain = "".join(c for c in structure.lower() if c.isalnum())
        if any(fnmatchcase(plain, p) for p in self.exclude):
            return None
        return next((p for p in self.patterns if fnmatchcase(plain, p)), None)

    def matches(self, structure: str) -> bool:
        """Whether `structure` is a name of this organ."""
        return self.match(structure) is not None


@dataclass(frozen=True)
class GammaPart:
    """Passing rates [%] below which gamma warns and fails in 'target', or in the structures of an organ."""

    structures: str
    tolerance: float
    action: float
    source: str


@dataclass(frozen=True)
class GammaLimit:
    """A gamma criterion and the passing rates [%] below which it warns and fails; None: reported only.

    Those over BODY, and in `parts` those in structures.
    """

    criterion: Criterion
    tolerance: float | None
    action: float | None
    source: str
    parts: tuple[GammaPart, ...] = ()


@dataclass(frozen=True)
class DifferenceLimit:
    """How far Monte Carlo may differ from the plan in a DVH metric.

    Parameters
    ----------
    structures : str
        'target', or the name of an organ.
    metric : str
    relative_to : {'plan', 'prescription'}
        Plan: the plan's own value of the metric.
    tolerance, action : float
        Size of the difference above which it warns and fails [%].
    source : str
    """

    structures: str
    metric: str
    relative_to: str
    tolerance: float
    action: float
    source: str


@dataclass(frozen=True)
class Constraint:
    """A clinical limit for an organ and a number of fractions.

    Parameters
    ----------
    organ, metric : str
    fractions : int or None
        None for any number of fractions.
    limit : float
        In the metric's unit.
    relation : {'<=', '>='}
        What the metric must be to the limit.
    prv_mm : (float, float, float) or None
        Margins (x, y, z) by which the organ is expanded first [mm].
    source : str
    """

    organ: str
    metric: str
    fractions: int | None
    limit: float
    relation: str
    prv_mm: tuple[float, float, float] | None
    source: str

    def applies(self, fractions: int | None) -> bool:
        """Whether it is a limit for this number of fractions."""
        return self.fractions is None or self.fractions == fractions

    @property
    def unit(self) -> str:
        """Of metric and limit."""
        return parse_metric(self.metric).unit


@dataclass(frozen=True)
class DiagnosisLimit:
    """From where on a kind of planning-system error warns and fails; None: it never fails.

    Parameters
    ----------
    test : str
        One of `DIAGNOSES`, in its unit.
    tolerance : float
    action : float or None
    source : str
    """

    test: str
    tolerance: float
    action: float | None
    source: str


@dataclass(frozen=True)
class Profile:
    """All limits of a verdict.

    Parameters
    ----------
    name, title, status, source : str
        `status` says what authority the figures have.
    max_voxel_mm, max_sigma_percent : float
        Voxel side and transport sigma above which the Monte Carlo dose itself gets a warning.
    flip : {'fail', 'warn'}
        What a constraint kept by the plan and broken by Monte Carlo is.
    flip_sigmas : float
        By how many sigma it must be broken for that.
    broken_by_both : {'shown', 'warn', 'fail'}
        What a constraint broken by the plan and by Monte Carlo is.
    organs : tuple of Organ
        Those that the limits speak of, and those the profile describes itself.
    gamma, differences, constraints : tuples
    diagnosis : tuple of DiagnosisLimit
        One for each of `DIAGNOSES`.
    """

    name: str
    title: str
    status: str
    source: str
    max_voxel_mm: float
    max_sigma_percent: float
    flip: str
    flip_sigmas: float
    broken_by_both: str
    organs: tuple[Organ, ...]
    gamma: tuple[GammaLimit, ...]
    differences: tuple[DifferenceLimit, ...]
    constraints: tuple[Constraint, ...]
    diagnosis: tuple[DiagnosisLimit, ...] = ()

    def organ(self, name: str) -> Organ:
        """The organ called `name`."""
        return next(organ for organ in self.organs if organ.name == name)


def shipped_profiles() -> list[str]:
    """Names of the profiles that come with mcverify."""
    return sorted(path.stem for path in (DATA / "profiles").glob("*.toml"))


def load_profile(profile: str | PathLike = DEFAULT) -> Profile:
    """Load a shipped profile by its name, or any by the path of its TOML file."""
    return _read_profile(read_limits(profile, DATA / "profiles", shipped_profiles(), PROFILE))


def read_limits(chosen: str | PathLike, folder: Path, names: Sequence[str], what: str) -> Table:
    """Read one of the files `names`.toml shipped in `folder`, or any by its path.

    Raises
    ------
    InputError
        If it cannot be read; it says `what` that is and which are shipped.
    """
    path = Path(chosen)
    if isinstance(chosen, str) and chosen in names:
        path = folder / f"{chosen}.toml"
    elif not path.exists():
        beside = Path(f"{path}.toml")
        hint = f"did you mean {beside}? " if beside.is_file() else meant(str(chosen), names)
        problem = "no such file" if path.suffix == ".toml" else f"is no {what} of mcverify and no file"
        raise InputError(f"{what} {chosen}", problem, f"{hint}a TOML file, or one of {', '.join(names)}")
    return read_table(path, what)


def synonyms() -> tuple[Organ, ...]:
    """The organs that structures are known as by their names, from the shipped table."""
    return _read_organs(read_table(DATA / "synonyms.toml"))


def _read_profile(table: Table) -> Profile:
    table.expect("", PROFILE_KEYS, kind=PROFILE)
    own = _read_organs(table)
    names = list(dict.fromkeys([organ.name for organ in (*own, *synonyms())]))
    differences = tuple(_read_difference(entry, names) for entry in _optional_tables(table, "difference"))
    constraints = _referenced(table) + tuple(
        _read_constraint(entry, names) for entry in _optional_tables(table, "constraint")
    )
    gammas = tuple(_read_gamma(entry, names) for entry in _optional_tables(table, "gamma"))
    parts = [part for limit in gammas for part in limit.parts]
    mentioned = {limit.organ for limit in constraints}
    mentioned |= {limit.structures for limit in (*differences, *parts)}
    described = {organ.name for organ in own}
    organs = own + tuple(o for o in synonyms() if o.name in mentioned and o.name not in described)
    profile = Profile(
        name=table.path.stem,
        title=table.text("title", table.path.stem),
        status=table.text("status", "limits of your own"),
        source=table.text("source", ""),
        max_voxel_mm=table.number("max_voxel_mm", above=0, default=MAX_VOXEL_MM),
        max_sigma_percent=table.number("max_sigma_percent", above=0, default=MAX_SIGMA_PERCENT),
        flip=table.choice("flip", ("fail", "warn"), "fail"),
        flip_sigmas=table.number("flip_sigmas", above=0, default=FLIP_SIGMAS),
        broken_by_both=table.choice("broken_by_both", ("shown", "warn", "fail"), "shown"),
        organs=organs,
        gamma=gammas,
        differences=differences,
        constraints=constraints,
        diagnosis=_diagnosis(table),
    )
    table.finish()
    judged = any(limit.tolerance is not None for limit in profile.gamma)
    if not (judged or differences or constraints):
        remedy = "state constraints_from, or [[constraint]], [[gamma]] or [[difference]]"
        raise InputError(table.path, "states no limit to judge by", remedy)
    return profile


def _diagnosis(table: Table) -> tuple[DiagnosisLimit, ...]:
    """The shipped limits of a diagnosis, those that a profile states itself in their place."""
    shipped = read_table(DATA / "diagnosis.toml")
    found = {}
    for place in (shipped, table):
        limits = [_read_diagnosis(entry) for entry in _optional_tables(place, "diagnosis")]
        names = [limit.test for limit in limits]
        if twice := [name for name in names if names.count(name) > 1]:
            raise place.error("diagnosis", f"{twice[0]!r} is limited {names.count(twice[0])} times")
        found |= dict(zip(names, limits, strict=True))
    return tuple(found.values())


def _read_diagnosis(entry: Table) -> DiagnosisLimit:
    entry.expect("test tolerance", "action source")
    action = entry.number("action", above=0) if "action" in entry else None
    limit = DiagnosisLimit(
        entry.choice("test", DIAGNOSES), entry.number("tolerance", above=0), action, entry.text("source", "")
    )
    if action is not None and action < limit.tolerance:
        raise entry.error("action", f"{action:g} lies below tolerance ({limit.tolerance:g})")
    entry.finish()
    return limit


def _referenced(table: Table) -> tuple[Constraint, ...]:
    """Constraints of the shipped profiles that this one names."""
    if "constraints_from" not in table:
        return ()
    found = ()
    for name in table.text("constraints_from").split():
        if name not in shipped_profiles():
            remedy = f"{meant(name, shipped_profiles())}one of {', '.join(shipped_profiles())}"
            raise table.error("constraints_from", f"no profile {name!r} is shipped", remedy)
        found += load_profile(name).constraints
    return found


def _optional_tables(table: Table, key: str) -> list[Table]:
    return table.tables(key) if key in table else []


def _read_organs(table: Table) -> tuple[Organ, ...]:
    organs = tuple(_read_organ(entry) for entry in _optional_tables(table, "organs"))
    names = [organ.name for organ in organs]
    for name in names:
        if names.count(name) > 1:
            raise table.error("organs", f"{name!r} is described {names.count(name)} times")
    return organs


def _read_organ(entry: Table) -> Organ:
    entry.expect("name patterns", "exclude")
    organ = Organ(
        entry.text("name"),
        tuple(entry.text("patterns").lower().split()),
        tuple(entry.text("exclude", "").lower().split()),
    )
    if organ.name == TARGET:
        raise entry.error("name", "'target' means the plan's targets, not an organ")
    entry.finish()
    return organ


def _read_gamma(entry: Table, organs: list[str]) -> GammaLimit:
    entry.expect("dose_percent distance_mm", "mode threshold_percent tolerance action source structures")
    criterion = Criterion(
        entry.number("dose_percent", above=0),
        entry.number("distance_mm", above=0),
        entry.choice("mode", ("global", "local"), "global") == "local",
        entry.number("threshold_percent", above=-1e-9, default=10.0),
    )
    rates = _rates(entry) if "tolerance" in entry or "action" in entry else (None, None)
    parts = tuple(_read_gamma_part(part, organs) for part in _optional_tables(entry, "structures"))
    limit = GammaLimit(criterion, *rates, entry.text("source", ""), parts)
    entry.finish()
    return limit


def _read_gamma_part(entry: Table, organs: list[str]) -> GammaPart:
    entry.expect("of tolerance action", "source")
    part = GammaPart(entry.choice("of", (TARGET, *organs)), *_rates(entry), entry.text("source", ""))
    entry.finish()
    return part


def _rates(entry: Table) -> tuple[float, float]:
    """Passing rates [%] below which gamma warns and fails."""
    for key in ("tolerance", "action"):
        if key not in entry:
            raise entry.error(key, "is missing", "give both, or neither")
    tolerance, action = (entry.number(key, above=0) for key in ("tolerance", "action"))
    if not action <= tolerance <= 100:
        raise entry.error("tolerance", f"{tolerance:g} must lie between action ({action:g}) and 100 %")
    return tolerance, action


def _read_difference(entry: Table, organs: list[str]) -> DifferenceLimit:
    entry.expect("structures metric tolerance action", "relative_to source")
    limit = DifferenceLimit(
        entry.choice("structures", (TARGET, *organs)),
        _metric(entry),
        entry.choice("relative_to", ("plan", "prescription"), "plan"),
        entry.number("tolerance", above=0),
        entry.number("action", above=0),
        entry.text("source", ""),
    )
    if parse_metric(limit.metric).unit != "Gy":
        raise entry.error("metric", f"{limit.metric} is not a dose, so it has no percentage of one")
    if limit.action < limit.tolerance:
        raise entry.error("action", f"{limit.action:g} lies below tolerance ({limit.tolerance:g})")
    entry.finish()
    return limit


def _read_constraint(entry: Table, organs: list[str]) -> Constraint:
    entry.expect("organ metric fractions limit", "relation prv_mm source")
    metric = _metric(entry)
    spared = parse_metric(metric).kind in ("cold volume", "min")
    constraint = Constraint(
        entry.choice("organ", (TARGET, *organs)),
        metric,
        _fractions(entry),
        entry.number("limit", above=0),
        entry.choice("relation", ("<=", ">="), ">=" if spared else "<="),
        _margins(entry),
        entry.text("source", ""),
    )
    entry.finish()
    if constraint.unit == "%" and constraint.limit > 100:
        raise entry.error("limit", f"{constraint.limit:g} is above 100 %", volume_note(metric))
    return constraint


def _fractions(entry: Table) -> int | None:
    """A number of fractions, or None for "any"."""
    if entry.is_text("fractions"):
        entry.choice("fractions", (ANY,))
        return None
    fractions = entry.number("fractions", above=0, remedy=f'or "{ANY}"')
    if fractions != int(fractions):
        raise entry.error("fractions", f"must be whole, is {fractions:g}")
    return int(fractions)


def _margins(entry: Table) -> tuple[float, float, float] | None:
    """`prv_mm`: one margin for all directions, or those along x, y and z [mm]."""
    if "prv_mm" not in entry:
        return None
    try:
        margins = (entry.number("prv_mm", above=0),) * 3
    except InputError:
        margins = entry.numbers("prv_mm", 3, above=-1e-9)
    if max(margins) > MAX_MARGIN_MM:
        raise entry.error("prv_mm", f"{max(margins):g} mm is no margin of a planning risk volume")
    return margins


def _metric(entry: Table) -> str:
    name = entry.text("metric")
    try:
        parse_metric(name)
    except InputError as error:
        raise entry.error("metric", str(error)) from None
    return name
