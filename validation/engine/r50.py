"""Cases of kind `r50`: the depth of half the maximum dose of a broad parallel electron beam.

A narrow beam in the middle of slices 60 cm wide deposits in each what a broad beam deposits on its axis
(reciprocity). The slices are cut into columns, so that none but the outer ones lie beside the air around the
phantom, where steps are kept short. The covariance of the slices is kept, since they share electrons: from
it follows how certain R50 is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mc.compute.beam_dose import BeamTransport
from mc.run.options import RunOptions
from phantoms.errors import InputError
from validation.engine import figures
from validation.engine.case import Case, read_physics
from validation.engine.sums import Histories, Sums, accumulate, store_key
from validation.engine.tank import read_beam, read_phantom
from validation.engine.verdict import Check, Options, Verdict

LIMIT = 0.5  # [% of R50]
FIT = (0.3, 0.7)  # shares of the maximum between which a cubic is fitted
TOP = 0.97  # share of the maximum above which a parabola is fitted to find it
DRAWS = 400  # of noise, for the uncertainty


def run(case: Case, options: Options) -> Verdict:
    """Compute the depth dose and compare R50 with the reference's."""
    table = case.table()
    physics = read_physics(table)
    phantom = read_phantom(table.table("phantom"))
    beam = read_beam(table.table("beam"))
    histories = Histories.read(table.table("histories"))
    table.finish()
    depth, reference, reference_sigma = load_reference(case.folder / "reference.npz")
    if len(depth) != phantom.grid.shape[0] or not np.allclose(depth, phantom.grid.centres(0), atol=1e-4):
        raise InputError(case.folder / "reference.npz", "has other slices than the phantom of case.toml")
    transport = BeamTransport(phantom, beam, RunOptions(physics, threads=options.threads))
    each = histories.batch

    def batch(k: int) -> np.ndarray:
        """The slices' doses and their products, so that the sums hold the covariance."""
        dose = transport.run(k * each, each).mean(axis=(1, 2))
        return np.concatenate([dose, np.outer(dose, dose).ravel()])

    key = store_key(phantom, physics, f"{beam} {each} products")
    sums = accumulate(
        options, case.name, key, histories.batches(options.quick), each, batch, transport.account
    )
    dose, covariance = moments(sums, len(depth))
    ours = find_r50(depth, dose)
    theirs = find_r50(depth, reference)
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    sigma = np.hypot(
        r50_sigma(depth, dose, covariance),
        r50_sigma(depth, reference, correlation * np.outer(reference_sigma, reference_sigma)),
    )
    check = Check("R50", 100.0 * (ours / theirs - 1.0), options.limit(LIMIT), 100.0 * sigma / theirs)
    facts = {"r50_cm": ours, "reference_r50_cm": theirs}
    scale = dose.sum() / reference.sum()  # the reference is per its own column: only the shape counts
    return Verdict(
        case.name,
        (check, *sums.checks()),
        physics,
        sums.batches * each,
        sums.cpu_seconds,
        facts,
        lambda path: figures.draw_r50(
            path,
            case.title,
            depth,
            dose / scale,
            np.sqrt(np.diag(covariance)) / scale,
            reference,
            check,
            facts,
        ),
    )


def load_reference(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth of the slices' centres [cm], dose and its one sigma, (n,)."""
    try:
        with np.load(path) as stored:
            return stored["depth"], stored["dose"], stored["sigma"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            path, f"is no stored depth dose: {error}", "restore it from the repository"
        ) from None


def moments(sums: Sums, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n,) per history and its covariance (n, n), of sums over doses and their products."""
    total, products = sums.total[:n], sums.total[n:].reshape(n, n)
    of_total = (products - np.outer(total, total) / sums.batches) * sums.batches / (sums.batches - 1)
    return total / (sums.batches * sums.histories), of_total / (sums.batches * sums.histories) ** 2


def find_r50(depth: np.ndarray, dose: np.ndarray) -> float:
    """Depth beyond the maximum at which the dose falls to half of it [cm].

    The maximum is that of a parabola through the points above 97 %, R50 the root of a cubic through those
    from 70 to 30 %: single noisy points decide nothing.
    """
    top = dose > TOP * dose.max()
    parabola = np.polynomial.Polynomial.fit(depth[top], dose[top], 2)
    fine = np.linspace(depth[top].min(), depth[top].max(), 1001)
    maximum = parabola(fine).max()
    low, high = FIT
    fall = (dose >= low * maximum) & (dose <= high * maximum) & (depth > depth[np.argmax(dose)])
    cubic = np.polynomial.Polynomial.fit(depth[fall], dose[fall], 3)
    fine = np.linspace(depth[fall].min(), depth[fall].max(), 10001)
    return float(np.interp(-0.5 * maximum, -cubic(fine), fine))


def r50_sigma(depth: np.ndarray, dose: np.ndarray, covariance: np.ndarray) -> float:
    """Standard deviation of R50 under noise of a covariance (n, n) [cm]."""
    random = np.random.default_rng(1)
    drawn = random.multivariate_normal(np.zeros(len(dose)), covariance, DRAWS, method="eigh")
    return float(np.std([find_r50(depth, dose + noise) for noise in drawn], ddof=1))
