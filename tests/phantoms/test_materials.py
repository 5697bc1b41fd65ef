"""Materials: the shipped table is sound and agrees with NIST; broken tables are refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from phantoms.errors import InputError
from phantoms.materials import Material, bragg_mean_excitation, load_elements, load_materials

MATERIALS = load_materials()


def fractions(material: Material) -> dict[str, float]:
    symbols = {element.number: symbol for symbol, element in load_elements().items()}
    return {symbols[number]: weight for number, weight in material.composition}


@pytest.mark.parametrize("name", MATERIALS)
def test_every_row_is_sound(name):
    material = MATERIALS[name]
    assert sum(weight for _, weight in material.composition) == pytest.approx(1, abs=1e-12)
    assert 0 < material.density < 23 and 18 < material.mean_excitation < 850 and material.source


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("water", "water"),
        ("air", "air"),
        ("lung_icru44", "lung"),
        ("soft_tissue_icru4", "tissue4"),
        ("soft_tissue_icru44", "tissue"),
        ("cortical_bone_icru44", "bone"),
        ("adipose_icru44", "adipose"),
        ("muscle_icru44", "muscle"),
        ("blood_icru44", "blood"),
        ("brain_icru44", "brain"),
        ("breast_icru44", "breast"),
        ("eye_lens_icru44", "eye"),
        ("ovary_icru44", "ovary"),
        ("pmma", "pmma"),
        ("polystyrene", "polystyrene"),
        ("polyethylene", "polyethylene"),
        ("ptfe", "teflon"),
        ("pvc", "pvc"),
        ("a150", "a150"),
        ("b100", "b100"),
    ],
)
def test_compositions_give_the_attenuation_nist_tabulates(shared, name, table):
    """mu/rho of the mixture from NIST's elements equals NIST's own table of the compound, to its digits."""
    folder = shared / "data" / "physics" / "nist-xaamdi"
    energies = (0.02, 0.05, 0.1, 1.0, 10.0)
    expected = _mu(folder / f"{table}.csv", energies)
    found = sum(
        weight * _mu(folder / "elements" / f"z{number:02d}.csv", energies)
        for number, weight in MATERIALS[name].composition
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("bone", "marrow"),
    [
        ("cranium_icru46", "red_marrow_icru46"),
        ("mandible_icru46", "red_marrow_icru46"),
        ("humerus_icru46", "yellow_marrow_icru46"),
        ("rib_2_6_icru46", "red_marrow_icru46"),
        ("rib_10_icru46", "red_marrow_icru46"),
        ("vertebra_c4_icru46", "red_marrow_icru46"),
        ("vertebra_d6_l3_icru46", "red_marrow_icru46"),
    ],
)
def test_whole_bones_are_cortical_bone_and_marrow(bone, marrow):
    """Composition and density follow from the share of calcium: that is how ICRU 46 made them."""
    whole, cortical, soft = (fractions(MATERIALS[n]) for n in (bone, "cortical_bone_icru44", marrow))
    share = whole["Ca"] / cortical["Ca"]
    for symbol in ("H", "C", "N", "O", "P"):
        mixed = share * cortical[symbol] + (1 - share) * soft.get(symbol, 0.0)
        assert whole[symbol] == pytest.approx(mixed, abs=0.0025), symbol
    volume = share / MATERIALS["cortical_bone_icru44"].density + (1 - share) / MATERIALS[marrow].density
    assert MATERIALS[bone].density == pytest.approx(1 / volume, rel=0.005)


@pytest.mark.parametrize("name", ["adipose_icrp", "muscle_icrp", "soft_tissue_icrp", "brain_icrp", "a150"])
def test_tabulated_excitation_energies_are_near_bragg_additivity(name):
    material = MATERIALS[name]
    assert bragg_mean_excitation(fractions(material)) == pytest.approx(material.mean_excitation, rel=0.02)


def _mu(path, energies):
    with open(path) as file:
        rows = [[float(cell) for cell in row[:2]] for row in csv.reader(file) if _is_number(row[0])]
    return np.array([next(mu for e, mu in rows if e == pytest.approx(energy)) for energy in energies])


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["cortical_bone_icru44", "muscle_icru44", "adipose_icru44", "lung_icru44"])
def test_bragg_additivity_reproduces_the_tabulated_tissues(name):
    material = MATERIALS[name]
    assert bragg_mean_excitation(fractions(material)) == pytest.approx(material.mean_excitation, rel=0.01)


def test_bragg_additivity_of_air_and_of_an_element():
    assert bragg_mean_excitation(fractions(MATERIALS["air"]), "gas") == pytest.approx(85.7, rel=0.005)
    assert bragg_mean_excitation({"Ti": 1.0}) == pytest.approx(233)
    assert bragg_mean_excitation({"Ti": 1.0}, "alloy") == pytest.approx(233)


def test_fractions_are_normalised(tmp_path):
    path = tmp_path / "materials.toml"
    path.write_text("[a]\ndensity = 1\ncomposition = { H = 0.1, O = 0.9005 }\n")
    assert sum(weight for _, weight in load_materials(path)["a"].composition) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\ndensity = 1\ncomposition = { H = 0.1, O = 0.8 }", "sum to 0.9000"),
        ("[a]\ndensity = 1\ncomposition = { Xx = 1 }", r"a\.composition\.Xx: is no element"),
        (
            "[a]\ndensity = 0\ncomposition = { H = 1 }",
            r"a\.density: must be greater than 0, found 0 \(in g/cm3\)",
        ),
        ("[a]\ndensity = nan\ncomposition = { H = 1 }", r"a\.density: must be a finite number, found nan"),
        ("[a]\ncomposition = { H = 1 }", r"a\.density: is missing"),
        ("[a]\ndensity = 1", r"a\.composition: is missing"),
        ("[a]\ndensity = 1\ncomposition = { H = 1, O = -0.1 }", r"composition\.O: must be greater than 0"),
        ("[a]\ndensity = 1\ncomposition = { H = 1 }\nmean_excitation = -3", "mean_excitation"),
        ("[a]\ndensity = 1\ncomposition = { H = 1 }\nstate = 'plasma'", "'plasma' is unknown.*'gas'"),
        ("[a]\ndensity = 1\ncomposition = { H = 1 }\nI = 3", r"a\.I: is unknown.*mean_excitation"),
        ("a = 1", r"a: must be a table.*layout"),
        ("[a]\ndensty = 1\ncomposition = { H = 1 }", r"a\.densty: is unknown \(did you mean 'density\'"),
        ("[a]\ndensity = 1\ncomposition = { H = 1 }\nsurce = 'x'", "did you mean 'source'"),
        ("[a", "not valid TOML"),
    ],
)
def test_broken_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "materials.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_materials(path)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_materials(tmp_path / "absent.toml")
