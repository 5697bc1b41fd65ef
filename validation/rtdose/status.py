"""What an RTDOSE states about itself that a physicist must know: one rule for all commands."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from phantoms.dicom import optional, optional_text

LOSSY = "01"
TRANSFORMS = ("", "NONE")


def read_status(data: Dataset, path: Path) -> tuple[str, ...]:
    """Warnings of a dose that was moved, computed in water, or compressed (DICOM PS3.3 C.8.8.3).

    Parameters
    ----------
    data : Dataset
        Header of the dose.
    path : Path
    """
    found = []
    moved = optional_text(data, "SpatialTransformOfDose", path)
    if moved not in TRANSFORMS:
        found.append(
            f"{path.name}: its dose was mapped from another image by a {moved} transform (3004,0005): it is "
            "not as it was planned"
        )
    corrected = optional(data, "TissueHeterogeneityCorrection", path)
    kinds = [] if corrected is None else [corrected] if isinstance(corrected, str) else list(corrected)
    if kinds and "IMAGE" not in kinds:
        found.append(
            f"{path.name}: its dose was computed with heterogeneity correction {', '.join(map(str, kinds))} "
            "(3004,0014): densities are not those of the CT"
        )
    if optional_text(data, "LossyImageCompression", path) == LOSSY:
        found.append(f"{path.name}: its dose was compressed with loss (0028,2110)")
    return tuple(found)
