"""A valid case, machine and dose, and functions that break them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom


class Bench:
    """A copy of a valid case, machine and dose, with methods that break them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.case, self.out = folder, folder / "case", folder / "out"
        self.machine, self.dose_h5 = folder / "machine" / "linac.toml", folder / "dose.h5"
        self.plan, self.dose = self.case / "RTPLAN.dcm", self.case / "RTDOSE.dcm"
        self.structures = self.case / "RTSTRUCT.dcm"
        self.slices = sorted(self.case.glob("CT.*.dcm"))
        self.header = folder / "machine" / "field5.IAEAheader"
        self.records = folder / "machine" / "field5.IAEAphsp"

    def edit(self, path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
        """Change a DICOM file."""
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)

    def edit_beam(self, **attributes) -> None:
        """Set attributes of the plan's beam, control point attributes in the first control point."""

        def change(data):
            beam = data.BeamSequence[0]
            for keyword, value in attributes.items():
                setattr(
                    beam.ControlPointSequence[0] if keyword in beam.ControlPointSequence[0] else beam,
                    keyword,
                    value,
                )

        self.edit(self.plan, change)

    def cut(self, path: Path, share: float = 0.6) -> None:
        """Keep the first part of a file."""
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    def replace(self, path: Path, old: str, new: str) -> None:
        """Replace text in a file."""
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file into the bench's folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def first_record(self, **values) -> None:
        """Overwrite fields of the first phase-space record: type int8, energy, x, y float32."""
        kind = np.dtype([("kind", "i1"), ("energy", "<f4"), ("x", "<f4"), ("y", "<f4")])
        raw = bytearray(self.records.read_bytes())
        record = np.frombuffer(raw, kind, count=1)
        for name, value in values.items():
            record[name] = value
        self.records.write_bytes(raw)
