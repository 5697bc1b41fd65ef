"""What a diagnosis says: one finding for each kind of error, and the tables behind them."""

from __future__ import annotations

from dataclasses import dataclass

# The kinds of error, in the order in which they are shown.
TITLES = {
    "output": "output, plan over MC",
    "beam": "one beam's output, plan over MC",
    "shift": "position, plan from MC",
    "depth": "energy, plan over MC with depth",
    "profile": "fluence mode, plan over MC off the axis",
    "couch": "couch, plan over MC through it",
    "density": "densities, plan over MC at a region",
}


UNITS = {
    "output": "%",
    "beam": "%",
    "shift": "mm",
    "depth": "% per 10 cm",
    "profile": "%",
    "couch": "%",
    "density": "%",
}


@dataclass(frozen=True)
class Finding:
    """One kind of error: whether the doses show it.

    Parameters
    ----------
    test : str
        A key of `TITLES`.
    quantity : str
        What `value` is, in words.
    value, sigma : float or None
        The fitted parameter and its sigma, in `unit`; None where it is undetermined, and `sentence` says why.
    unit : str
    tolerance, action : float or None
        Warns beyond the first, fails beyond the second, if it is also significant; None: no limit.
    status : {'pass', 'warn', 'fail', 'shown'}
        'shown' where it cannot be determined.
    sentence : str
        The probable cause, or that there is no sign of one.
    source : str
        Of the limits.
    """

    test: str
    quantity: str
    value: float | None
    sigma: float | None
    unit: str
    tolerance: float | None
    action: float | None
    status: str
    sentence: str
    source: str

    @property
    def title(self) -> str:
        """The kind of error in words."""
        return TITLES[self.test]


@dataclass(frozen=True)
class RegionEffect:
    """How the plan's dose behaves in and behind a region, all other errors that were found allowed for.

    Parameters
    ----------
    region : str
    volume_cm3, mean_density : float
        Of the region as Monte Carlo saw it [g/cm3].
    inside_percent, inside_sigma_percent : float
        Plan over Monte Carlo, less 1, within it.
    behind_percent, behind_sigma_percent : float
        The same through a changed radiological depth, where its beams have passed most of it.
    density_change : float
        By how much the plan's dose looks as if the region were denser [g/cm3].
    percent, sigma_percent : float
        What is judged: the greater of both effects.
    gain_percent : float
        By how much it would better the fit (chi2), if it is not part of it.
    found : bool
        Whether it is part of the final fit.
    """

    region: str
    volume_cm3: float
    mean_density: float
    inside_percent: float
    inside_sigma_percent: float
    behind_percent: float
    behind_sigma_percent: float
    density_change: float
    percent: float
    sigma_percent: float
    gain_percent: float
    found: bool


@dataclass(frozen=True)
class BeamEffect:
    """By how much one beam alone is stronger in the plan's dose, all other errors found allowed for [%].

    None where its dose cannot be separated from that of other beams.
    """

    number: int
    name: str
    percent: float | None
    sigma_percent: float | None
    found: bool


@dataclass(frozen=True)
class Diagnosis:
    """All findings, and what they rest on.

    Parameters
    ----------
    findings : tuple of Finding
        One for each key of `TITLES`, in their order; empty if no diagnosis was possible.
    displacement_mm, displacement_sigma_mm : (float, float, float)
        Where the plan's dose lies relative to Monte Carlo's, along LPS (x, y, z).
    beams : tuple of BeamEffect
    regions : tuple of RegionEffect
    voxels : int
        That were fitted.
    scatter_percent : float
        Rms difference that is left over and that transport sigma does not explain [% of local dose].
    note : str
        Why there are no findings.
    """

    findings: tuple[Finding, ...] = ()
    displacement_mm: tuple[float, float, float] | None = None
    displacement_sigma_mm: tuple[float, float, float] | None = None
    beams: tuple[BeamEffect, ...] = ()
    regions: tuple[RegionEffect, ...] = ()
    voxels: int = 0
    scatter_percent: float | None = None
    note: str = ""

    @property
    def named(self) -> tuple[Finding, ...]:
        """The errors found: what fails first."""
        order = ("fail", "warn")
        return tuple(
            sorted((f for f in self.findings if f.status in order), key=lambda f: order.index(f.status))
        )

    def to_dict(self) -> dict:
        """Everything, for JSON."""
        return {
            "findings": [{"title": f.title, **vars(f)} for f in self.findings],
            "displacement_mm": self.displacement_mm,
            "displacement_sigma_mm": self.displacement_sigma_mm,
            "beams": [vars(beam) for beam in self.beams],
            "regions": [vars(region) for region in self.regions],
            "voxels": self.voxels,
            "scatter_percent": self.scatter_percent,
            "note": self.note,
        }
