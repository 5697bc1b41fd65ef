"""Measured scans sorted by the field they were measured in: one Monte Carlo run for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mc.machine.machine import BeamQuality, Machine
from phantoms.errors import InputError
from validation.scans import OutputFactor, Scan, ScanSet
from validation.scans.folder import STATEMENT
from validation.scans.scan import field_text

SAME_SAD = 0.05  # by which the isocentre of scans and machine may differ [cm]
SAME = 0.02  # by which fields and SSDs that are one may differ [cm]


@dataclass(frozen=True, eq=False)
class Field:
    """A field of a beam quality on a water tank, and what was measured in it.

    Parameters
    ----------
    quality : BeamQuality
    jaws : (float, float, float, float)
        x1, x2, y1, y2 in the isocentre plane [cm].
    ssd_cm : float
    scans : tuple of Scan
    output_factors : tuple of OutputFactor
    """

    quality: BeamQuality
    jaws: tuple[float, float, float, float]
    ssd_cm: float
    scans: tuple[Scan, ...]
    output_factors: tuple[OutputFactor, ...] = ()

    @property
    def label(self) -> str:
        """As a physicist writes it."""
        return f"{self.quality.label}, {field_text(self.jaws)}, SSD {self.ssd_cm:g} cm"

    def is_at(self, quality: BeamQuality, jaws: Sequence[float], ssd_cm: float) -> bool:
        """Whether this is the field of a beam quality, jaws and SSD."""
        lengths = zip((*self.jaws, self.ssd_cm), (*jaws, ssd_cm), strict=True)
        return quality is self.quality and all(abs(a - b) <= SAME for a, b in lengths)


def sort_by_field(machine: Machine, measured: ScanSet) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """Fields that were measured, in the order in which they first appear, and warnings.

    Raises
    ------
    InputError
        If the machine has no such beam, or no file states which beam a scan is of.
    """
    found: list[tuple[BeamQuality, tuple, float, list[Scan], list[OutputFactor]]] = []
    warnings: list[str] = []

    def place(quality: BeamQuality, item: Scan | OutputFactor) -> tuple[list[Scan], list[OutputFactor]]:
        for known, jaws, ssd, scans, factors in found:
            if Field(known, jaws, ssd, ()).is_at(quality, item.field_cm, item.ssd_cm):
                return scans, factors
        found.append((quality, item.field_cm, item.ssd_cm, [], []))
        return found[-1][3:]

    for scan in measured.scans:
        if scan.sad_cm is not None and abs(scan.sad_cm - machine.sad_cm) > SAME_SAD:
            raise InputError(
                scan.source,
                f"its isocentre is at {scan.sad_cm:g} cm, that of {machine.name} at {machine.sad_cm:g} cm",
                "field sizes would be scaled wrongly: correct the export, or name the machine it is of",
            )
        quality, warning = quality_of(machine, scan)
        if warning and warning not in warnings:
            warnings.append(warning)
        place(quality, scan)[0].append(scan)
    for factor in measured.output_factors:
        place(machine.quality(factor.nominal_mv, factor.fluence_mode), factor)[1].append(factor)
    return tuple(Field(q, jaws, ssd, tuple(s), tuple(f)) for q, jaws, ssd, s, f in found), tuple(warnings)


def quality_of(machine: Machine, scan: Scan) -> tuple[BeamQuality, str]:
    """The beam quality a scan was measured in, and a warning if only the machine gave its fluence mode.

    Raises
    ------
    InputError
        If it is unknown, or the machine has no such beam.
    """
    if scan.nominal_mv is None:
        raise InputError(
            scan.source, "the file states no energy", f"state it in {STATEMENT} beside it: nominal_mv = 6.0"
        )
    if scan.fluence_mode is not None:
        return machine.quality(scan.nominal_mv, scan.fluence_mode), ""
    fitting = [q for q in machine.energies if abs(q.nominal_mv - scan.nominal_mv) < 1e-3]
    if len(fitting) == 1:
        return fitting[0], (
            f"{scan.file.name} does not state whether the beam is flattened; taken for "
            f"{fitting[0].label}, the only beam of {scan.nominal_mv:g} MV that {machine.name} has"
        )
    modes = [q.fluence_mode for q in machine.energies]
    if not fitting:
        return machine.quality(scan.nominal_mv, modes[0]), ""  # refused there, with the beams there are
    raise InputError(
        scan.source,
        f"the file does not state whether the beam is flattened, and {machine.name} has both",
        f'state it in {STATEMENT} beside it: fluence_mode = "STANDARD" or "FFF"',
    )
