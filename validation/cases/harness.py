"""Run the cases: `python -m validation.cases.harness [CASE ...] [--quick]`.

A case is a folder with a `case.toml` and a compact `reference.npz`, which names its source. Each run
writes `verdict.json` and `figure.png` beside them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mc.config import Physics
from mc.provenance import provenance
from mc.run import PlacedBeam, StopRule, simulate
from mc.source.phase_space import open_phase_space
from phantoms.errors import InputError
from phantoms.recipes import water_tank
from validation.cases.curves import Curve, averaged_curves, deviation

HERE = Path(__file__).parent
QUICK = 4.0  # the quick run asks for this many times the uncertainty


@dataclass(frozen=True)
class WaterCase:
    """A phase space on a water tank, against curves of an independent code.

    Parameters
    ----------
    folder : Path
    phase_space : Path
    mirror : str
        Axes about which the reference used mirror images of the file.
    ssd : float
        [cm]
    limit, steep : float
        Largest difference, a share of the maximum, or distance in steep gradients [cm].
    uncertainty : float
        Transport sigma of a full run.
    """

    folder: Path
    phase_space: Path
    mirror: str
    ssd: float
    limit: float
    steep: float
    uncertainty: float

    @classmethod
    def load(cls, folder: Path) -> WaterCase:
        """Read the case of a folder."""
        settings = tomllib.loads((folder / "case.toml").read_text())
        path = (folder / settings.pop("phase_space")).resolve()
        return cls(folder, path, **settings)


def reference_curves(folder: Path) -> list[Curve]:
    """The reference's curves, Gy per original history."""
    with np.load(folder / "reference.npz") as stored:
        names = [str(name) for name in stored["names"]]
        return [
            Curve(n, stored[f"{i}_position"], stored[f"{i}_dose"], stored[f"{i}_sigma"])
            for i, n in enumerate(names)
        ]


def run(case: WaterCase, quick: bool) -> dict:
    """Simulate a case and compare; returns the verdict and writes it."""
    space = open_phase_space(case.phase_space)
    phantom = water_tank((30.0, 30.5, 30.5), (0.2, 0.5, 0.5))
    mirror = ("x" in case.mirror, "y" in case.mirror)
    beam = PlacedBeam(1, space, np.eye(3), np.array([0.0, 0.0, -case.ssd]), 1.0, mirror)
    asked = case.uncertainty * (QUICK if quick else 1.0)
    result = simulate(phantom, [beam], Physics(photon_cut=0.01), StopRule(asked))
    ours = averaged_curves(result.dose.mean, result.dose.sigma, phantom.grid)
    reference = reference_curves(case.folder)
    maximum = max(curve.dose.max() for curve in reference)
    rows, passed = [], True
    for mine, theirs in zip(ours, reference, strict=True):
        off = deviation(mine, theirs, maximum, case.steep)
        sigma = (
            np.sqrt(mine.sigma**2 + np.interp(mine.position, theirs.position, theirs.sigma) ** 2) / maximum
        )
        # what two noisy curves may differ by without disagreeing: 3 sigma of this many points
        beyond = np.abs(off) > case.limit + 3.0 * sigma
        rows.append(
            {
                "curve": mine.name,
                "mean_difference": float(off.mean()),
                "rms_difference": float(np.sqrt(np.mean(off**2))),
                "largest_difference": float(np.abs(off).max()),
                "rms_sigma": float(np.sqrt(np.mean(sigma**2))),
                "points_beyond": int(beyond.sum()),
            }
        )
        passed &= not beyond.any() and abs(off.mean()) <= case.limit
    verdict = {
        "case": case.folder.name,
        "passed": bool(passed),
        "limit": case.limit,
        "transport_uncertainty": result.quality["transport_uncertainty"],
        "cpu_seconds": result.quality["cpu_seconds"],
        "curves": rows,
        **provenance(),
    }
    (case.folder / "verdict.json").write_text(json.dumps(verdict, indent=1) + "\n")
    draw(ours, reference, maximum, case)
    return verdict


def draw(ours: list[Curve], reference: list[Curve], maximum: float, case: WaterCase) -> None:
    """Both curves and their difference, a panel each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    panels = figure.subplots(3, 3)
    for panel, mine, theirs in zip(panels.flat, ours, reference, strict=True):
        panel.plot(theirs.position, 100 * theirs.dose / maximum, "k-", lw=1, label="reference")
        panel.errorbar(
            mine.position,
            100 * mine.dose / maximum,
            100 * mine.sigma / maximum,
            fmt=".",
            ms=3,
            label="mcverify",
        )
        panel.set(title=mine.name, xlabel="cm", ylabel="% of maximum")
        twin = panel.twinx()
        off = np.interp(mine.position, theirs.position, theirs.dose)
        twin.plot(mine.position, 100 * (mine.dose - off) / maximum, "r-", lw=0.6)
        twin.axhline(0.0, color="r", lw=0.3)
        twin.set(ylim=(-5, 5), ylabel="difference, % of maximum")
        twin.yaxis.label.set_color("r")
    panels.flat[0].legend(loc="lower left", fontsize=8)
    figure.suptitle(case.folder.name)
    figure.savefig(case.folder / "figure.png", dpi=80)


def main(argv: list[str] | None = None) -> int:
    """Run the named cases, or all; exit code 1 if one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help="folder names; all if none is given")
    parser.add_argument("--quick", action="store_true", help="a few CPU-minutes in all")
    arguments = parser.parse_args(argv)
    folders = [HERE / name for name in arguments.case] or sorted(p.parent for p in HERE.glob("*/case.toml"))
    failed, ran = False, 0
    for folder in folders:
        case = WaterCase.load(folder)
        if not case.phase_space.parent.is_dir():
            print(f"{folder.name}: skipped, {case.phase_space.parent} is not here")
            continue
        try:
            verdict = run(case, arguments.quick)
        except InputError as error:
            print(f"{folder.name}: FAILED, {error}")
            failed = True
            continue
        ran += 1
        failed |= not verdict["passed"]
        worst = max(verdict["curves"], key=lambda row: row["largest_difference"])
        print(
            f"{folder.name}: {'passed' if verdict['passed'] else 'FAILED'}; largest difference "
            f"{worst['largest_difference']:.2%} of the maximum ({worst['curve']}); voxel sigma "
            f"{verdict['transport_uncertainty']:.2%}, {verdict['cpu_seconds']:.0f} CPU-s"
        )
    return int(failed or ran == 0)


if __name__ == "__main__":
    sys.exit(main())
