"""Measured scans of a water tank: read, analysed, compared with computed curves."""

from validation.scans.folder import ScanSet, read_folder, read_measured, read_scans
from validation.scans.output_factors import OutputFactor
from validation.scans.scan import CROSSLINE, DIAGONAL, INLINE, PDD, Scan

__all__ = [
    "CROSSLINE",
    "DIAGONAL",
    "INLINE",
    "PDD",
    "OutputFactor",
    "Scan",
    "ScanSet",
    "read_folder",
    "read_measured",
    "read_scans",
]
