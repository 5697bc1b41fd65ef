"""Phantoms and simple beams of the cases, from their `case.toml`."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from mc.source.beams import Beam, spectrum
from mc.transport.particle import ELECTRON, PHOTON
from phantoms.materials import Material, load_materials
from phantoms.phantom import Phantom
from phantoms.recipes import Layer, slabs
from phantoms.schema import Table, read_table
from validation.engine.case import CASES

SPECTRA = CASES / "spectra.toml"
KINDS = {"photon": PHOTON, "electron": ELECTRON}


@cache
def materials() -> dict[str, Material]:
    """The media of the references, from `materials.toml`."""
    return load_materials(CASES / "materials.toml")


def read_material(table: Table, key: str = "material") -> Material:
    """The medium that an entry names."""
    return materials()[table.choice(key, tuple(materials()))]


def read_phantom(entry: Table) -> Phantom:
    """Layers and cylinders; lengths in cm, triples in the order x, y, z, the surface at z = 0.

    A cylinder lies along y and fills the voxels whose centre it holds.
    """
    voxel, size = (entry.numbers(key, 3, above=0.0) for key in ("voxel", "size"))
    layers = []
    for row in entry.tables("layers"):
        layers.append(
            Layer(
                read_material(row),
                row.number("density", above=0),
                row.number("top"),
                row.number("bottom", above=0),
            )
        )
        row.finish()
    if layers[0].z0 != 0.0 or not math.isclose(layers[-1].z1, size[2]):
        raise entry.error("layers", f"must reach from 0 to {size[2]:g} cm")
    phantom = slabs(layers, size[1::-1], voxel[::-1])
    # the air margin takes the first material: the air of the references, not that of the library
    used = list(dict.fromkeys([materials()["air"], *(layer.material for layer in layers)]))
    density = phantom.density.copy()
    renumbered = [used.index(m) if m in used else 0 for m in phantom.materials]
    index = np.array(renumbered, np.uint8)[phantom.material]
    for row in entry.tables("cylinders") if "cylinders" in entry else []:
        material, (x, z) = read_material(row), row.numbers("centre", 2)
        radius = row.number("radius", above=0)
        off = np.hypot(phantom.grid.centres(0)[:, None, None] - z, phantom.grid.centres(2)[None, None, :] - x)
        inside = np.broadcast_to(off < radius, phantom.grid.shape)
        if material not in used:
            used.append(material)
        density[inside], index[inside] = row.number("density", above=0), used.index(material)
        row.finish()
    entry.finish()
    return Phantom(phantom.grid, density, index, tuple(used))


def read_beam(entry: Table) -> Beam:
    """A centred field on the surface z = 0, of one energy or a spectrum of `spectra.toml`."""
    kind = KINDS[entry.choice("particle", tuple(KINDS))]
    width_x, width_y = entry.numbers("field", 2, above=0.0)
    distance = entry.number("ssd", above=0) if "ssd" in entry else math.inf
    if "spectrum" in entry:
        energies = spectrum(*read_bins(entry.choice("spectrum", spectrum_names())))
    else:
        energy = entry.number("energy", above=0)
        energies = np.array([energy, energy]), np.array([0.0, 1.0])
    entry.finish()
    return Beam(kind, *energies, -0.5 * width_x, 0.5 * width_x, -0.5 * width_y, 0.5 * width_y, 0.0, distance)


def spectrum_names() -> tuple[str, ...]:
    """Names of the spectra of `spectra.toml`."""
    return tuple(read_table(SPECTRA))


def read_bins(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges [MeV] of the bins of a spectrum of `spectra.toml`, and the photons in them."""
    row = read_table(SPECTRA).table(name)
    width, counts = row.number("bin", above=0.0), np.array(row.numbers("counts"))
    row.finish()
    return width * np.arange(len(counts) + 1), counts
