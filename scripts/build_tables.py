"""Compile mc/data/elements.h5 from the public data libraries. For maintainers, run from the checkout.

    python scripts/build_tables.py --shared ../shared

Reads NIST XCOM, EPICS2017 (EPDL, EEDL), ELSEPA, Seltzer-Berger and Sternheimer data and keeps, per
element, what `mc.tables` needs and no more. mc/data/SOURCES.md says where each comes from.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
from endl import read_atom
from relaxation_data import RATIOS, Relaxation, as_arrays, between_elements, read_relaxation

FORMAT_VERSION = 2
ENERGY_RANGE = 1e-3, 100.0  # kept energies [MeV]
X_MAX = 1024.0  # kept momentum transfers [1/Angstrom]
BARN = 1e-24  # [cm2]
LARGEST_GAP = 17  # between elements of EPICS2017, across which those between are interpolated in Z


def text_lines(path: Path) -> list[str]:
    """Lines of a text file without DOS's end-of-file mark, which some of these files carry."""
    return path.read_text().rstrip("\x1a\r\n ").splitlines()


def read_xcom(path: Path) -> dict[str, np.ndarray | float]:
    """Read one element of NIST XCOM 3.1 (MDATX3.nnn).

    Returns
    -------
    dict
        atomic_weight; `smooth` (5, n): energy [MeV], coherent, incoherent, pair, triplet [barn/atom] at
        the energies that are no absorption edges or thresholds; `photoelectric` (2, m): energy and cross
        section, in segments between edges (the edge energy occurs twice); `segments`: their first columns.
    """
    lines = text_lines(path)
    atomic_weight = float(lines[0].split()[1])
    n_edges, n_energies = map(int, lines[1].split())
    # The indices of the energies just above each edge, highest edge first; then labels, then edge energies.
    at, above = 2, []
    while len(above) < n_edges:
        above += [int(word) - 1 for word in lines[at].split()]
        at += 1
    if n_edges:
        at += -(-n_edges // 24)  # labels, 24 a line
        n_read = 0
        while n_read < n_edges:
            n_read += len(lines[at].split())
            at += 1
    numbers = np.array(" ".join(lines[at:]).split(), dtype=float)
    energy, coherent, incoherent, photo, pair, triplet = numbers[: 6 * n_energies].reshape(6, n_energies)
    energy = energy * 1e-6
    edge = np.zeros(n_energies, bool)
    edge[above] = edge[np.array(above, int) - 1] = True
    # XCOM repeats itself just beside the pair and triplet thresholds, where rounding would bend a spline.
    beside_threshold = np.isclose(energy, 1.022) | np.isclose(energy, 2.044)
    kept = ~edge & ~beside_threshold & (energy <= ENERGY_RANGE[1])
    segments_energy, segments_photo = [], []
    if n_edges:
        block = numbers[6 * n_energies :]
        if int(block[0]) != n_edges:
            raise SystemExit(f"{path}: expected {n_edges} edges in the last block, found {block[0]}")
        counts = block[1 : n_edges + 1].astype(int)
        values = block[n_edges + 1 :].reshape(2, counts.sum())
        for first, last in pairwise(np.append(0, np.cumsum(counts))):
            segments_energy.append(values[0, first:last])
            segments_photo.append(values[1, first:last])
    top = (energy <= ENERGY_RANGE[1]) & ~beside_threshold
    top[: above[0] if n_edges else 0] = False
    segments_energy.append(energy[top])
    segments_photo.append(photo[top])
    if n_edges:  # the two blocks round the K edge differently: one energy for both sides
        segments_energy[-1][0] = segments_energy[-2][-1]
    return {
        "atomic_weight": atomic_weight,
        "smooth": np.stack([energy, coherent, incoherent, pair, triplet])[:, kept],
        "photoelectric": np.stack([np.concatenate(segments_energy), np.concatenate(segments_photo)]),
        "segments": np.cumsum([0] + [len(s) for s in segments_energy[:-1]]),
    }


def read_bremsstrahlung(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seltzer-Berger scaled cross sections.

    Returns
    -------
    energy : (n,) float64
        Kinetic energy T [MeV], within ENERGY_RANGE.
    fraction : (30,) float64
        k/T.
    scaled : (100, n, 30) float64
        beta^2/Z^2 k dsigma/dk [mb], Z from 1.
    """
    lines = text_lines(path)
    numbers = np.array(" ".join(lines[4:]).split(), dtype=float)
    n_energy, n_fraction = numbers[:2].astype(int)
    energy, fraction, scaled = np.split(numbers[2:], [n_energy, n_energy + n_fraction])
    kept = (energy >= ENERGY_RANGE[0]) & (energy <= ENERGY_RANGE[1])
    return energy[kept], fraction, scaled.reshape(100, n_energy, n_fraction)[:, kept]


def read_functions(path: Path) -> dict[str, np.ndarray]:
    """Form factor and incoherent scattering function of EPDL, each (2, n): x [1/Angstrom] and value."""
    tables = {}
    for name, (x, y) in read_atom(path, {"form_factor": (93, 941), "scattering": (93, 942)}).items():
        x = x * 1e6  # EPICS2017's unit is 1e6/Angstrom (hydrogen's form factor has an analytic form)
        kept = (x <= X_MAX) & np.append(True, np.diff(x) > 0)
        tables[name] = np.stack([x[kept], y[kept]])
    return tables


def power_law_moment(mu: np.ndarray, dcs: np.ndarray, order: int) -> np.ndarray:
    """Integrate mu^order dcs over mu, the DCS a power law between nodes (constant below the first).

    Forward-peaked cross sections fall over many decades, so a power law is what one panel looks like;
    it reproduces ELSEPA's own transport cross sections to 3e-6.

    Parameters
    ----------
    mu : (n,) float64
        (1 - cos)/2, the first node 0.
    dcs : (m, n) float64
    order : int

    Returns
    -------
    (m,) float64
    """
    log_step = np.log(mu[2:] / mu[1:-1])
    exponent = np.log(dcs[:, 2:] / dcs[:, 1:-1]) / log_step + order + 1
    z = exponent * log_step
    growth = np.where(np.abs(z) < 1e-10, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z))
    panels = dcs[:, 1:-1] * mu[1:-1] ** (order + 1) * growth * log_step
    return dcs[:, 0] * mu[1] ** (order + 1) / (order + 1) + panels.sum(axis=1)


def read_elsepa(folder: Path, z: int) -> np.ndarray:
    """First and second transport cross sections of elastic scattering, (2, n) [cm2] on ELSEPA's energies."""
    mu = np.load(folder / "muGRID.npy")
    dcs = np.load(folder / str(z) / "DCS.npy")
    first, second = power_law_moment(mu, dcs, 1), power_law_moment(mu, dcs, 2)
    transport = np.stack([2.0 * first, 6.0 * (first - second)])  # 1 - P1 = 2 mu, 1 - P2 = 6 mu (1 - mu)
    own = np.load(folder / str(z) / "LEtransportTCS.npy")[1:]
    deviation = np.abs(transport / own - 1.0).max()
    if deviation > 1e-4:
        raise SystemExit(f"ELSEPA Z={z}: moments differ from the file's own by {deviation:.1e}")
    return transport


def between(z: int, known: list[int]) -> tuple[int, int, float]:
    """Nearest known elements below and above Z, and how far Z lies from the lower, 0 to 1."""
    low, high = max(k for k in known if k < z), min(k for k in known if k > z)
    return low, high, (z - low) / (high - low)


def read_elastic(shared: Path, elements: list[int]) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """ELSEPA transport cross sections of the `elements` of EPICS2017, and their energies.

    Where ELSEPA has no file: EEDL's first transport cross section of that element times ELSEPA/EEDL
    interpolated in Z between the neighbours that have one; likewise the ratio of second to first.

    Returns
    -------
    energy : (n,) float64 [MeV]
    transport : dict of Z -> (2, n) float64 [cm2]
    """
    folder = shared / "data/physics/elsepa/electron"
    energy = np.load(folder / "LEeax.npy") * 1e-6
    kept = slice(np.searchsorted(energy, ENERGY_RANGE[0]) - 1, None)
    energy = energy[kept]
    first_eedl = {}
    for z in elements:
        path = shared / f"data/physics/epics2017/EEDL/{z}.txt.gz"
        nodes, values = read_atom(path, {"transport": (7, 0)})["transport"]
        first_eedl[z] = BARN * np.exp(np.interp(np.log(energy), np.log(nodes), np.log(values)))
    transport = {z: read_elsepa(folder, z)[:, kept] for z in elements if (folder / str(z)).is_dir()}
    to_eedl = {z: first / first_eedl[z] for z, (first, _) in transport.items()}
    to_first = {z: second / first for z, (first, second) in transport.items()}
    known = sorted(transport)
    for z in sorted(set(elements) - set(known)):
        low, high, part = between(z, known)
        first = first_eedl[z] * ((1.0 - part) * to_eedl[low] + part * to_eedl[high])
        transport[z] = first * np.stack(
            [np.ones_like(first), (1.0 - part) * to_first[low] + part * to_first[high]]
        )
    return energy, transport


def interpolate_elements(known: dict[int, dict[str, np.ndarray]]) -> dict[int, dict[str, np.ndarray]]:
    """Form factors, scattering functions and elastic data of elements between those of EPICS2017.

    F/Z and S/Z linearly in Z at the momentum transfers of the lower neighbour; transport cross
    sections over Z^2 logarithmically in Z.
    """
    found = {}
    for z in range(max(6, min(known)), max(known)):  # below carbon elements differ too much
        if z in known:
            continue
        low, high, part = between(z, sorted(known))
        if high - low > LARGEST_GAP:
            continue
        found[z] = {}
        for name in ("form_factor", "scattering"):
            x, below = known[low][name]
            above = np.interp(x, *known[high][name])
            found[z][name] = np.stack([x, z * ((1.0 - part) * below / low + part * above / high)])
        below, above = known[low]["elastic"] / low**2, known[high]["elastic"] / high**2
        found[z]["elastic"] = z**2 * below ** (1.0 - part) * above**part
    return found


def read_relaxations(physics: Path, elements: list[int]) -> dict[int, Relaxation]:
    """Photoeffect by shell and relaxation of `elements`; between those of EPICS2017 interpolated in Z."""
    found = {}
    for z in elements:
        epdl, eadl = (physics / f"epics2017/{library}/{z}.txt.gz" for library in ("EPDL", "EADL"))
        if epdl.is_file():
            found[z] = read_relaxation(epdl, eadl)
    known = sorted(found)
    for z in set(elements) - set(known):
        low, high, part = between(z, known)
        found[z] = between_elements(found[low], found[high], part)
    return found


def main() -> None:
    """Write the compact data file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/physics")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "mc/data/elements.h5")
    options = parser.parse_args()
    physics = options.shared / "data/physics"
    complete = sorted(int(p.name.split(".")[0]) for p in (physics / "epics2017/EPDL").glob("*.txt.gz"))
    elastic_energy, elastic = read_elastic(options.shared, complete)
    elements = {
        z: read_functions(physics / f"epics2017/EPDL/{z}.txt.gz") | {"elastic": elastic[z]} for z in complete
    }
    elements |= interpolate_elements(elements)
    relaxations = read_relaxations(physics, sorted(elements))
    brems_energy, brems_fraction, brems = read_bremsstrahlung(physics / "openmc/BREMX.DAT")
    with (
        h5py.File(options.out, "w") as out,
        h5py.File(physics / "openmc/density_effect.h5") as oscillators,
    ):

        def store(group: h5py.Group, name: str, values: np.ndarray, unit: str, dtype: str = "f4") -> None:
            data = group.create_dataset(
                name, data=np.asarray(values, dtype), compression="gzip", compression_opts=9, shuffle=True
            )
            data.attrs["unit"] = unit

        out.attrs["format_version"] = FORMAT_VERSION
        store(out, "elastic_energy", elastic_energy, "MeV", "f8")
        store(out, "bremsstrahlung_energy", brems_energy, "MeV", "f8")
        store(out, "bremsstrahlung_fraction", brems_fraction, "k/T", "f8")
        store(out, "shell_ratio", RATIOS, "energy over binding energy", "f8")
        for z in sorted(elements):
            group = out.create_group(f"{z:03d}")
            xcom = read_xcom(physics / f"nist-xcom/MDATX3.{z:03d}")
            group.attrs["atomic_weight"] = xcom["atomic_weight"]
            store(group, "photon", xcom["smooth"], "MeV; barn: coherent, incoherent, pair, triplet")
            store(group, "photoelectric", xcom["photoelectric"], "MeV; barn")
            store(group, "photoelectric_segments", xcom["segments"], "first columns", "i4")
            edges = xcom["photoelectric"][0, xcom["segments"][1:]][::-1]
            relaxation = as_arrays(relaxations[z], edges)
            store(group, "shell_binding", relaxation["shell_binding"], "MeV: K, L1, L2, L3")
            store(group, "shell_share", relaxation["shell_share"], "1")
            store(group, "transitions", relaxation["transitions"], "shell, vacancy left, MeV, probability")
            group.attrs["interpolated"] = z not in complete
            for name in ("form_factor", "scattering"):
                store(group, name, elements[z][name], "1/Angstrom; 1")
            store(group, "elastic", elements[z]["elastic"], "cm2: first, second transport cross section")
            store(group, "bremsstrahlung", brems[z - 1], "mb: beta^2/Z^2 k dsigma/dk")
            source = oscillators[f"{z:03d}"]
            store(
                group,
                "oscillators",
                np.stack([source["num_electrons"], source["ionization_energy"]]),
                "electrons (below 0: conduction electrons); eV",
            )
    print(f"{options.out}: {len(elements)} elements, {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
