"""Compile mc/data/elastic_shape.npz from ELSEPA's angular distributions. For maintainers, from the checkout.

    python scripts/build_elastic_shape.py --shared ../shared

Keeps, per element that has a file, the ratio of the elastic cross section of electrons to Rutherford's at
angles beyond the screening, on the energies of `mc.tables.large_angles`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from mc.tables.large_angles import MU, SHAPE, shape_energies
from mc.tables.scattering import rutherford_prefactor


def ratio_to_rutherford(folder: Path, z: int) -> np.ndarray:
    """Ratio at energies and angles, (n_e, n_mu) float32."""
    mu = np.load(folder / "muGRID.npy")
    energy = np.load(folder / "LEeax.npy") * 1e-6
    section = np.load(folder / str(z) / "DCS.npy")  # per unit of mu [cm2]
    # Rutherford: prefactor Z^2/(1 - cos)^2 per cosine is half of that over mu^2 per mu
    ratio = section[:, 1:] * mu[1:] ** 2 / (0.5 * z * z * rutherford_prefactor(energy)[:, None])
    at = np.array([np.interp(MU, mu[1:], row) for row in ratio])
    return CubicSpline(np.log(energy), at)(np.log(shape_energies())).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder of the data libraries")
    folder = parser.parse_args().shared / "data/physics/elsepa/electron"
    elements = sorted(int(path.name) for path in folder.iterdir() if path.is_dir())
    ratios = np.stack([ratio_to_rutherford(folder, z) for z in elements])
    np.savez_compressed(SHAPE, z=np.array(elements), ratio=ratios)
    print(f"{SHAPE}: {len(elements)} elements, {SHAPE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
