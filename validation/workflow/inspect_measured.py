"""What was measured: water tank scans and films."""

from __future__ import annotations

from pathlib import Path

from validation.workflow.inspection import Inspection

PICTURES = (".tif", ".tiff")


def holds_scans(path: Path) -> bool:
    """Whether a file, or a file in a folder, has a name as scans of a water tank have."""
    from validation.scans.folder import SUFFIXES

    files = path.iterdir() if path.is_dir() else [path]
    return any(file.suffix.lower() in SUFFIXES and file.is_file() for file in files)


def show_scans(path: Path, found: Inspection) -> None:
    """Show the scans and output factors of a file or a folder."""
    from validation.scans import read_measured

    scans = read_measured(path)
    rows = [
        (
            scan.label,
            "not stated" if scan.nominal_mv is None else f"{scan.nominal_mv:g} {scan.fluence_mode or ''}",
            f"{scan.positions[0]:.2f} to {scan.positions[-1]:.2f}",
            scan.values.size,
            f"{scan.ssd_cm:g}",
            scan.detector or "not stated",
            scan.file.name,
        )
        for scan in scans
    ]
    columns = ("scan", "MV", "from, to [cm]", "points", "SSD [cm]", "detector", "file")
    found.table(f"{path}: scans of a water tank", columns, rows, right=(3, 4))
    if scans.output_factors:
        factors = [(factor.label, f"{factor.ssd_cm:g}", factor.file.name) for factor in scans.output_factors]
        found.table("Output factors", ("field", "SSD [cm]", "file"), factors, right=(1,))
    for text in dict.fromkeys([note for scan in scans for note in scan.notes]):
        found.line(text)
    for warning in scans.warnings:
        found.warn(warning)


def show_film(path: Path, found: Inspection) -> None:
    """Show a scan of films, and where on it films are seen."""
    from validation.film.regions import find_films
    from validation.film.scan import read_scans

    scan = read_scans([path])
    rows, columns = scan.shape
    width, height = (f"{25.4 / pitch:.0f} dpi" for pitch in scan.file_pitch_mm[::-1])
    facts = [
        ("pixels", f"{columns} x {rows}"),
        ("size", f"{columns * scan.pitch_mm[1]:.0f} x {rows * scan.pitch_mm[0]:.0f} mm"),
        ("resolution", width if width == height else f"{width} x {height}"),
    ]
    found.facts(f"{path}: scan of film, 16 bits, RGB", facts)
    films = [
        (
            f"{f.columns.start},{f.rows.start},{f.columns.stop},{f.rows.stop}",
            f"{(f.columns.stop - f.columns.start) * scan.pitch_mm[1]:.0f} x "
            f"{(f.rows.stop - f.rows.start) * scan.pitch_mm[0]:.0f}",
        )
        for f in find_films(scan)
    ]
    found.table(f"Films seen: {len(films)}", ("place for --box [px]", "size [mm]"), films)
