"""Assembly of the kernel tables for the materials of one run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mc.config import Physics
from mc.numerics.sampling import (
    BREMS_PER_OCTAVE,
    ENERGY_MAX,
    ENERGY_MAX_EXP,
    ENERGY_MIN,
    ENERGY_MIN_EXP,
    ENERGY_PER_OCTAVE,
    X_MAX_EXP,
    X_MIN_EXP,
    X_PER_OCTAVE,
    octave_nodes,
)
from mc.tables.bremsstrahlung import BremsstrahlungSpectra, spectrum_quantiles
from mc.tables.elements import Element, data_bytes, load_elements, refuse_unknown
from mc.tables.medium import Atom, Medium
from mc.tables.photons import (
    cross_section_intervals,
    cumulative_form_factor,
    photoelectric_cross_section,
    photon_cross_sections,
    scattering_function,
)
from mc.tables.relaxation import Shell, deep_shells, relaxation_table, shell_cross_sections
from mc.tables.scattering import screening
from mc.tables.slowing import GOUDSMIT_SAUNDERSON, goudsmit_saunderson, slowing_table, starting_intervals
from phantoms.errors import InputError
from phantoms.materials import Material, load_materials

BARN = 1e-24  # [cm2]
WATER = "water"  # the material that dose to water is in
BREMS_QUANTILES = 64  # intervals of the bremsstrahlung quantiles
SPECTRUM_STEPS = 8  # of ln k for each of them, from which those are read
PAIR_Z_ENERGY = 6.0  # where the pair sampler's effective Z is taken [MeV]
ABOVE_EDGE = 1.0 + 1e-9
MAJORANT_MARGIN = 1.0 + 1e-5  # over single-precision rounding
LOWEST_ENERGY = 1e-3  # where ranges are integrated from [MeV]
LOW_PANELS = 24  # from there to the tables
GAUSS_NODES, GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(2)
LARGEST_SPLIT = 64  # interactions of a flight: the capacity of the stack
POSITRON = (False, True)  # the charge axis of the tables


class Tables(NamedTuple):
    """What the kernels look up, C-contiguous; nm materials, on the octave grids of `mc.numerics.sampling`.

    Charge index 0 is the electron, 1 the positron. Energies are kinetic [MeV].

    Attributes
    ----------
    photon : (nm, ne - 1, 4, 2) float32
        By interval, lower end and rise to the upper: mass attenuation [cm2/g]; then probabilities of
        Compton, of Compton or Rayleigh, of Compton, Rayleigh or pair and triplet; the rest is photoelectric.
    triplet : (nm, ne - 1, 2) float32
        Likewise the share of triplets among pairs and triplets.
    shells : (nm, ne - 1, nv, 2) float32
        Likewise the cumulative share of the inner shells `binding` in photoabsorption.
    binding : (nv,) float64
        Binding energies of all materials' shells that are bound by more than the photon cut-off.
    relaxation : (nv, nt, 3) float64
        How their vacancies relax: `mc.tables.relaxation.relaxation_table`.
    incoherent : (nm, nx) float32
        Share S(x)/Z of electrons that take part in Compton scattering.
    coherent : (nm, nx) float64
        Integral of F(t^(1/2))^2 over t from 0 to x^2 [1/Angstrom^2], mean of the material's atoms.
    range_k1 : (nm, 2, ne, 2) float64
        Restricted range R [g/cm2] and scattering strength from the first node, the integral of kappa_1/L.
    elastic : (nm, 2, ne, 2) float32
        Row (screening) and layer (spin factor) of the Goudsmit-Saunderson table, between nodes a fraction.
    hard : (nm, 2, ne, 3) float32
        Cross section of hard events [cm2/g]; then probabilities of bremsstrahlung, of bremsstrahlung or
        Moller (Bhabha) scattering; the rest is annihilation. Where the cross section is 0 the
        probabilities are those of the next energy that has any.
    hard_majorant : (2, ne) float32
        Largest hard cross section of all materials at this or any lower energy [cm2/g].
    stopping : (nm, 2, ne, 2) float32
        Restricted stopping power L and unrestricted collision stopping power [MeV cm2/g].
    slowing : (nm, 2, nr, 6) float64
        The same relation laid out for the kernel, and the strength of a full step: `mc.tables.slowing`.
    starts : (nm, 2, ne) int32
        The row of `slowing` at each node.
    gs_quantiles, gs_widths : (n_spin, n_eta, n_k1, nq), (n_spin, n_eta, n_k1) float32
        Universal Goudsmit-Saunderson table.
    brems : (nm, nb, 64 + 1) float32
        Equally probable x of hard photons, k = kc (E/kc)^x.
    z_pair : (nm,) float32
        Atomic number averaged over pair production in the field of nuclei at 6 MeV.
    water_ratio : (nm, ne) float32
        Unrestricted collision stopping power of electrons in water over that in the material.
    """

    photon: np.ndarray
    triplet: np.ndarray
    shells: np.ndarray
    binding: np.ndarray
    relaxation: np.ndarray
    incoherent: np.ndarray
    coherent: np.ndarray
    range_k1: np.ndarray
    elastic: np.ndarray
    hard: np.ndarray
    hard_majorant: np.ndarray
    stopping: np.ndarray
    slowing: np.ndarray
    starts: np.ndarray
    gs_quantiles: np.ndarray
    gs_widths: np.ndarray
    brems: np.ndarray
    z_pair: np.ndarray
    water_ratio: np.ndarray


def energy_nodes() -> np.ndarray:
    """Kinetic energies of the tables, (ne,) [MeV]."""
    return octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, ENERGY_PER_OCTAVE)


def build_tables(
    materials: Sequence[Material], physics: Physics, brems_quantiles: int = BREMS_QUANTILES
) -> Tables:
    """Compute the kernels' tables.

    Parameters
    ----------
    materials : sequence of Material
    physics : Physics
        Its cut-offs are the thresholds of hard collisions and bremsstrahlung.
    brems_quantiles : int
        Intervals of the quantiles of bremsstrahlung: a spectrum is flat in ln k within one.

    Raises
    ------
    InputError
        If a material contains an element without data, a cut-off lies outside the tables, or a number of
        interactions is not one.
    """
    for name in ("electron_cut", "photon_cut"):
        if not ENERGY_MIN <= getattr(physics, name) < ENERGY_MAX:
            raise InputError(
                f"physics option {name}",
                f"{getattr(physics, name)} MeV lies outside the tables",
                f"choose {ENERGY_MIN} to {ENERGY_MAX} MeV",
            )
    for name, most in (("photon_split", LARGEST_SPLIT), ("track_repeat", np.inf)):
        count = getattr(physics, name)
        if count != int(count) or not 1 <= count <= most:
            raise InputError(
                f"physics option {name}",
                f"{count} is not a number of interactions",
                f"choose 1 to {LARGEST_SPLIT}",
            )
    water = load_materials()[WATER]
    for material in materials:
        refuse_unknown(material)
    elements = load_elements(z for material in (*materials, water) for z, _ in material.composition)
    energy = _integration_energies()
    atoms = {z: Atom(element, physics, energy) for z, element in elements.items()}
    photons = {z: _atom_photon_tables(element, physics, brems_quantiles) for z, element in elements.items()}
    shells = deep_shells(elements, physics.photon_cut)
    rows = []
    for material in materials:
        medium = Medium(material, atoms)
        charged = [_charged_tables(medium, physics, positron) for positron in POSITRON]
        rows.append(
            _photon_tables(medium, photons, brems_quantiles)
            | {"shells": _shell_shares(medium, shells)}
            | {name: np.stack([tables[name] for tables in charged]) for name in charged[0]}
        )
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    largest = np.maximum.accumulate(columns["hard"][..., 0].max(axis=0), axis=-1)
    columns["hard_majorant"] = largest * MAJORANT_MARGIN
    # in the material `water` itself it is 1 exactly
    in_water = Medium(water, atoms).collision_stopping(positron=False)[_node_places()]
    columns["water_ratio"] = in_water / columns["stopping"][:, 0, :, 1]
    columns["binding"] = np.array([shell.binding for shell in shells])
    columns["relaxation"] = relaxation_table(shells, elements, physics.photon_cut)
    columns["starts"] = starting_intervals(columns["range_k1"][..., 0])
    columns["gs_quantiles"], columns["gs_widths"] = goudsmit_saunderson()
    types = {name: np.float32 for name in Tables._fields}
    types |= dict.fromkeys(("coherent", "range_k1", "slowing", "binding", "relaxation"), np.float64)
    types["starts"] = np.int32
    tables = Tables(**{name: np.ascontiguousarray(columns[name], types[name]) for name in Tables._fields})
    for name, table in tables._asdict().items():
        if not np.isfinite(table).all():  # a kernel would carry it into the dose
            raise InputError(
                f"materials {', '.join(material.name for material in materials)}",
                f"the table {name} that follows from them is not finite everywhere",
                "correct composition, density and mean excitation energy",
            )
    return tables


def tables_hash(materials: Sequence[Material], physics: Physics) -> str:
    """SHA-256 over all that the tables are made of, for provenance: data, materials and cut-offs."""
    digest = hashlib.sha256(data_bytes())
    for material in dict.fromkeys((*materials, load_materials()[WATER])):
        facts = (material.name, material.density, material.composition, material.mean_excitation)
        digest.update(repr(facts).encode())
    digest.update(GOUDSMIT_SAUNDERSON.read_bytes())
    digest.update(repr(physics).encode())
    return digest.hexdigest()


def _atom_photon_tables(element: Element, physics: Physics, quantiles: int) -> dict[str, np.ndarray]:
    """What an atom does to photons, and the bremsstrahlung photons it makes; see `_photon_tables`."""
    x = octave_nodes(X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
    brems_energy = octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE)
    spectra = BremsstrahlungSpectra(element, brems_energy)
    return {
        "parts": BARN * cross_section_intervals(element, energy_nodes()),
        "pair": photon_cross_sections(element, np.array([PAIR_Z_ENERGY]))[3],
        "scattering": scattering_function(element, x),
        "form": cumulative_form_factor(element, x),
        "spectrum": spectra.hard(physics.photon_cut, SPECTRUM_STEPS * quantiles + 1),
    }


def _photon_tables(
    medium: Medium, photons: dict[int, dict[str, np.ndarray]], quantiles: int
) -> dict[str, np.ndarray]:
    """Attenuation, form factors, scattering functions, bremsstrahlung, effective Z of pair production."""
    atoms, numbers = medium.per_gram, [element.z for element in medium.elements]
    mixed = {
        name: np.tensordot(atoms, np.stack([photons[z][name] for z in numbers]), axes=1)
        for name in photons[numbers[0]]
    }
    coherent, incoherent, photoelectric, pair, triplet = np.moveaxis(mixed["parts"], 1, 0)
    pairs = pair + triplet
    total = coherent + incoherent + photoelectric + pairs
    steps = np.cumsum([incoherent, coherent, pairs], axis=0) / total
    pair_weights = atoms * [photons[z]["pair"][0] for z in numbers]
    return {
        "photon": np.moveaxis(_low_and_rise(np.stack([total, *steps], axis=1)), 0, 1),
        "triplet": _low_and_rise(triplet / np.where(pairs > 0, pairs, 1.0)),
        "incoherent": np.minimum(mixed["scattering"] / medium.electrons, 1.0),  # EPDL exceeds Z by roundings
        "coherent": mixed["form"] / atoms.sum(),
        "brems": spectrum_quantiles(mixed["spectrum"], quantiles),
        "z_pair": pair_weights @ numbers / pair_weights.sum(),
    }


def _low_and_rise(ends: np.ndarray) -> np.ndarray:
    """Of the values at both ends of the intervals, (2, ..., n), the lower and the rise, (..., n, 2)."""
    return np.stack([ends[0], ends[1] - ends[0]], axis=-1)


def _shell_shares(medium: Medium, shells: Sequence[Shell]) -> np.ndarray:
    """Cumulative share of the shells in photoabsorption, (ne - 1, nv, 2); see `Tables.shells`.

    In the interval of an edge the shares are those above it: the sampler never ionises a shell below its
    binding energy.
    """
    nodes = energy_nodes()
    low, high = nodes[:-1].copy(), nodes[1:]
    for element in medium.elements:
        for edge in element.shell_binding:
            i = np.searchsorted(nodes, edge) - 1
            if 0 <= i < len(low):
                low[i] = max(low[i], edge * ABOVE_EDGE)
    ends = np.zeros((2, len(shells), len(low)))
    for end, energy in enumerate((low, high)):
        total = np.zeros(len(low))
        for element, atoms in zip(medium.elements, medium.per_gram, strict=True):
            total += atoms * photoelectric_cross_section(element, energy)
            parts = shell_cross_sections(element, energy)
            for v, shell in enumerate(shells):
                if shell.z == element.z:
                    ends[end, v] += atoms * parts[shell.place]
        ends[end] /= total
    return np.moveaxis(_low_and_rise(np.cumsum(ends, axis=1)), 0, 1)


def _charged_tables(medium: Medium, physics: Physics, positron: bool) -> dict[str, np.ndarray]:
    """Ranges, scattering, hard cross sections and stopping powers of one kind of particle.

    `medium` stands on the energies of `_integration_energies`. Below 1 keV the stopping power is taken to
    rise as 1/E, as NIST ESTAR does.
    """
    n_edges, nodes = len(_panel_edges()), _node_places()
    stopping = medium.restricted_stopping(positron)
    kappa_1, kappa_2 = medium.soft_transport(positron)
    screened = screening(kappa_1[nodes], kappa_2[nodes], medium.rutherford[nodes])
    distance = 0.5 * LOWEST_ENERGY / stopping[0] + _integrate(1.0 / stopping[n_edges:])
    strength = _integrate(kappa_1[n_edges:] / stopping[n_edges:])
    strength -= strength[LOW_PANELS]
    brems, collision, annihilation = medium.hard_cross_sections(positron)[:, nodes]
    hard = brems + collision + annihilation
    steps = np.stack([brems, brems + collision]) / np.where(hard > 0, hard, np.nan)
    steps[:, hard == 0] = steps[:, [np.argmax(hard > 0)]]  # hard events set in at some energy
    return {
        "range_k1": np.stack([distance[nodes], strength[nodes]], axis=-1),
        "slowing": slowing_table(_panel_edges(), distance, strength, physics),
        "elastic": np.stack(screened, axis=-1),
        "hard": np.stack([hard, *steps], axis=-1),
        "stopping": np.stack([stopping[nodes], medium.collision_stopping(positron)[nodes]], axis=-1),
    }


def _panel_edges() -> np.ndarray:
    """Ends of the panels of integrals over energy: from 1 keV to the tables, then their nodes [MeV]."""
    below = np.geomspace(LOWEST_ENERGY, ENERGY_MIN, LOW_PANELS, endpoint=False)
    return np.append(below, energy_nodes())


def _node_places() -> slice:
    """Where among `_integration_energies` the nodes of the tables are."""
    return slice(LOW_PANELS, len(_panel_edges()))


def _integration_energies() -> np.ndarray:
    """The panels' ends, then the Gauss-Legendre points of all panels [MeV]."""
    edges = _panel_edges()
    points = edges[:-1, None] + np.diff(edges)[:, None] * 0.5 * (1.0 + GAUSS_NODES)
    return np.append(edges, points)


def _integrate(values: np.ndarray) -> np.ndarray:
    """Integral of values at the Gauss-Legendre points, from the start to the end of every panel."""
    panels = np.sum(values.reshape(-1, len(GAUSS_WEIGHTS)) * GAUSS_WEIGHTS, axis=1)
    return np.append(0.0, np.cumsum(panels * 0.5 * np.diff(_panel_edges())))
