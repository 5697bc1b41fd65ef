"""The phantom: body, air, overrides, averaging, the transport grid, and the audit of it all."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.assemble import (
    build_phantom,
    coverage_warnings,
    dose_block,
    patient_extent,
    transport_grid,
)
from phantoms.ct import read_ct
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import load_calibration
from phantoms.materials import load_materials
from phantoms.overrides import Override
from phantoms.polygons import mask_by_centre
from phantoms.recipes import Box, Layer, slabs, water_tank
from phantoms.structures import read_structures
from tests.dicom_factory import GRID, Contours, Uids, body_box, circle, rectangle, write_ct, write_structures

HU = np.random.default_rng(7).integers(-1000, 2000, GRID.shape).astype(float)
CURVE = load_calibration("opentps-4")
MATERIALS = load_materials()


def load(folder, structures=(), hu=HU, grid=GRID, **options):
    write_ct(folder, grid, hu, **options)
    path = write_structures(folder, structures or [body_box(grid)], grid.shape[0])
    return read_ct(folder), read_structures(path)


def mass(phantom):
    return phantom.density.sum(dtype=np.float64) * phantom.grid.voxel_volume


def test_on_the_ct_grid_the_phantom_is_the_ct_voxel_for_voxel(tmp_path):
    ct, structures = load(tmp_path)
    phantom = build_phantom(ct, structures, CURVE, ct.grid)
    body = mask_by_centre(structures.external(), ct.grid)
    density, index = CURVE.apply(ct.hu)
    np.testing.assert_array_equal(phantom.density[body], density[body])
    names = np.array([m.name for m in phantom.materials])
    expected = np.array([m.name for m in CURVE.materials])
    np.testing.assert_array_equal(names[phantom.material[body]], expected[index[body]])
    assert (phantom.density[~body] == np.float32(0.00121)).all() and (phantom.material[~body] == 0).all()
    assert names[0] == "air" and 0 < body.sum() < body.size


@pytest.mark.parametrize("voxel", [0.1, 0.17, 0.3, 0.55])
def test_averaging_conserves_mass(tmp_path, voxel):
    ct, structures = load(tmp_path)
    extent = patient_extent(ct.grid, [structures.external()])
    grid = transport_grid(ct.grid, ct.grid, extent, voxel)
    phantom, reference = (build_phantom(ct, structures, CURVE, g) for g in (grid, ct.grid))
    air = 0.00121 * (np.prod(grid.upper - grid.lower) - np.prod(ct.grid.upper - ct.grid.lower))
    assert mass(phantom) - air == pytest.approx(mass(reference), rel=1e-5)


def test_averaging_is_by_volume_and_the_material_by_mass(tmp_path):
    grid = Grid((2, 4, 4), (0.2, 0.2, 0.2), (0.1, 0.1, 0.1))
    hu = np.full(grid.shape, 10.0)  # 1.000 g/cm3 soft tissue
    hu[:, :2, :2] = -525  # 0.495 g/cm3 lung
    hu[0, :2, 2] = 1002  # 1.609 g/cm3 bone
    body = Contours("BODY", [rectangle((-1, 2), (-1, 2), z) for z in grid.centres(0)], "EXTERNAL")
    ct, structures = load(tmp_path, [body], hu, grid)
    coarse = Grid((1, 2, 2), (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    phantom = build_phantom(ct, structures, CURVE, coarse)
    np.testing.assert_allclose(
        phantom.density[0], [[0.495, (2 * 1.609 + 6 * 1.0) / 8], [1.0, 1.0]], rtol=1e-6
    )
    names = [[phantom.materials[i].name for i in row] for row in phantom.material[0]]
    assert names == [["lung_icru44", "soft_tissue_icru4"], ["soft_tissue_icru4", "soft_tissue_icru4"]]
    # lung 3/4 and bone 1/4 of the volume of a voxel shifted by half: bone has the larger mass
    shifted = Grid((1, 1, 1), (0.2, 0.4, 0.4), (0.1, 0.2, 0.3))
    part = build_phantom(ct, structures, CURVE, shifted)
    assert part.density[0, 0, 0] == pytest.approx(0.75 * 0.495 + 0.25 * 1.609, rel=1e-6)
    assert part.materials[part.material[0, 0, 0]].name == "cortical_bone_icrp"


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1), (0, 0, 1, 1, 0, 0)]
)
def test_the_phantom_does_not_depend_on_how_the_ct_was_stored(tmp_path, orientation):
    reference = build_phantom(*load(tmp_path / "a"), CURVE, GRID)
    write_ct(tmp_path / "b", GRID, HU, orientation)
    structures = read_structures(write_structures(tmp_path / "b", [body_box(GRID)], 0))
    phantom = build_phantom(read_ct(tmp_path / "b"), structures, CURVE, GRID)
    np.testing.assert_array_equal(phantom.density, reference.density)
    np.testing.assert_array_equal(phantom.material, reference.material)


def test_overrides_apply_in_order_and_are_accounted(tmp_path):
    z = GRID.centres(0)
    rod = Contours("Rod", [circle(0.5, c, (3.0, -1.0)) for c in z])
    bolus = Contours("Bolus", [rectangle((1.0, 5.0), (-3.1, -2.7), c) for c in z], "BOLUS")
    ct, structures = load(tmp_path, [body_box(GRID), rod, bolus])
    overrides = [
        Override("Rod", MATERIALS["titanium"], 4.5),
        Override("Bolus", MATERIALS["water"], 1.02),
    ]
    phantom = build_phantom(ct, structures, CURVE, GRID, overrides)
    for override in overrides:
        mask = mask_by_centre(structures[override.roi], GRID)
        assert mask.any() and (phantom.density[mask] == np.float32(override.density)).all()
        assert {phantom.materials[i].name for i in phantom.material[mask]} == {override.material.name}
    row = phantom.audit["overrides"][0]
    assert row["roi"] == "Rod" and row["volume_cm3"] == pytest.approx(np.pi * 0.25 * 3.6, rel=1e-3)
    account = {item["material"]: item for item in phantom.audit["materials"]}
    rods = mask_by_centre(structures["Rod"], GRID).sum() * GRID.voxel_volume
    assert account["titanium"]["volume_cm3"] == pytest.approx(rods)
    assert account["titanium"]["mean_density"] == pytest.approx(4.5)
    inside = sum(item["mass_g"] for item in account.values())
    outside = phantom.density[phantom.density == np.float32(0.00121)].sum(dtype=float) * GRID.voxel_volume
    assert inside == pytest.approx(mass(phantom) - outside, rel=1e-3)


def test_supports_keep_the_ct_and_patient_structures_outside_body_do_not(tmp_path):
    z = GRID.centres(0)
    couch = Contours("Couch", [rectangle((1.0, 5.0), (0.55, 0.9), c) for c in z], "SUPPORT")
    organ = Contours("Organ", [rectangle((1.0, 5.0), (-3.1, -2.7), c) for c in z])
    ct, structures = load(tmp_path, [body_box(GRID), couch, organ], np.full(GRID.shape, 10.0))
    phantom = build_phantom(ct, structures, CURVE, GRID)
    outside = ~mask_by_centre(structures.external(), GRID)
    support = mask_by_centre(structures["Couch"], GRID) & outside
    assert support.any() and (phantom.density[support] == 1).all()
    only_organ = mask_by_centre(structures["Organ"], GRID) & outside
    assert only_organ.any() and (phantom.density[only_organ] == np.float32(0.00121)).all()
    assert phantom.audit["supports"] == ["Couch"]
    assert any("support Couch has no override" in text for text in phantom.audit["warnings"])


def test_what_the_planning_system_assigned_is_said(tmp_path):
    implant = Contours(
        "Screw", [circle(0.5, c, (3, -1)) for c in GRID.centres(0)], physical={"REL_MASS_DENSITY": 4.5}
    )
    ct, structures = load(tmp_path, [body_box(GRID), implant])
    warned = build_phantom(ct, structures, CURVE, GRID).audit["warnings"]
    assert any("assigned REL_MASS_DENSITY 4.5 to Screw" in text for text in warned)
    override = [Override("Screw", MATERIALS["titanium"], 4.5)]
    assert not any(
        "Screw" in text for text in build_phantom(ct, structures, CURVE, GRID, override).audit["warnings"]
    )


def test_metal_without_an_override_is_said(tmp_path):
    rod = Contours("Rod", [circle(0.5, c, (3.0, -1.0)) for c in GRID.centres(0)])
    hu = np.full(GRID.shape, 10.0)
    ct, structures = load(tmp_path, [body_box(GRID), rod], hu)
    inside = mask_by_centre(structures["Rod"], GRID)
    hu[inside] = 3071
    hu[:, 0, :] = 3071  # outside the body
    ct, structures = load(tmp_path, [body_box(GRID), rod], hu)
    (said,) = [w for w in build_phantom(ct, structures, CURVE, GRID).audit["warnings"] if "metal" in w]
    assert f"({inside.sum()} voxels) above 3000 HU, about (30, -10," in said and "case.toml" in said
    override = [Override("Rod", MATERIALS["titanium"], 4.5)]
    assert not any(
        "metal" in w for w in build_phantom(ct, structures, CURVE, GRID, override).audit["warnings"]
    )


def test_clamped_voxels_are_counted_inside_the_body_only(tmp_path):
    hu = np.full(GRID.shape, 10.0)
    hu[:, 8, 8:10] = 3000  # inside
    hu[:, 0, :] = 3000  # outside
    ct, structures = load(tmp_path, hu=hu)
    audit = build_phantom(ct, structures, load_calibration("schneider-24"), GRID).audit
    assert audit["clamped"]["above"]["voxels"] == 24 and audit["clamped"]["highest_hu"] == 3000
    assert audit["clamped"]["above"]["volume_cm3"] == pytest.approx(24 * GRID.voxel_volume)
    assert any("24 voxels) lie above the 2995 HU" in text for text in audit["warnings"])


def test_a_ct_that_cuts_the_body_is_reported(tmp_path):
    z = GRID.centres(0)
    body = Contours("BODY", [rectangle((2.0, 9.0), (-2.5, 0.0), c) for c in z], "EXTERNAL")
    ct, structures = load(tmp_path / "a", [body])
    warned = build_phantom(ct, structures, CURVE, GRID).audit["warnings"]
    assert len(warned) == 1 and "cuts BODY off on its left side, over 9.0 cm2" in warned[0]
    long = Contours("BODY", [rectangle((2, 4), (-2, 0), c) for c in np.arange(-4, 4, 0.3)], "EXTERNAL")
    warned = build_phantom(*load(tmp_path / "b", [long]), CURVE, GRID).audit["warnings"]
    assert len(warned) == 1 and "beyond the slices of the CT" in warned[0]


def test_transport_grid_covers_patient_and_dose_in_step_with_the_dose(tmp_path):
    ct, structures = load(tmp_path)
    lower, upper = extent = patient_extent(ct.grid, [structures.external()])
    dose = Grid((5, 6, 7), (0.25, 0.2, 0.2), (-1.03, -2.01, 2.07))
    grid = transport_grid(ct.grid, dose, extent)
    assert grid.spacing == dose.spacing
    assert (grid.lower <= lower + 1e-9).all() and (grid.upper >= upper - 1e-9).all()
    inside = np.zeros(grid.shape)
    inside[dose_block(grid, dose)] = 1
    assert inside.sum() == np.prod(dose.shape)
    for axis, part in enumerate(dose_block(grid, dose)):
        np.testing.assert_allclose(grid.centres(axis)[part], dose.centres(axis), atol=1e-9)
    other = transport_grid(ct.grid, dose, extent, 0.1)
    assert other.spacing == (0.1, 0.1, 0.1)
    np.testing.assert_allclose(
        (other.lower - dose.lower) / 0.1, np.round((other.lower - dose.lower) / 0.1), atol=1e-6
    )
    assert transport_grid(ct.grid, ct.grid, extent) == ct.grid


def test_dose_outside_the_ct_is_air_and_reported(tmp_path):
    ct, structures = load(tmp_path)
    dose = Grid((12, 16, 25), GRID.spacing, GRID.origin)
    grid = transport_grid(ct.grid, dose, patient_extent(ct.grid, [structures.external()]))
    phantom = build_phantom(ct, structures, CURVE, grid)
    assert (phantom.density[:, :, 20:] == np.float32(0.00121)).all()
    reference = build_phantom(ct, structures, CURVE, ct.grid)
    np.testing.assert_array_equal(phantom.density[:, :, :20], reference.density)
    np.testing.assert_array_equal(phantom.material[:, :, :20], reference.material)
    assert coverage_warnings(ct.grid, dose) == [
        "the RTDOSE grid reaches outside the CT, taken as air there: 10.0 mm left"
    ]
    assert coverage_warnings(ct.grid, ct.grid) == []


def test_structures_of_another_ct_are_refused(tmp_path):
    ct, _ = load(tmp_path)
    for uids, slices, message in (
        (Uids(frame="1.2.3"), 12, "frame of reference"),
        (Uids(series="1.2.3"), 0, "was drawn on CT series"),
        (Uids(), 14, "refers to 2 CT slice"),
    ):
        structures = read_structures(write_structures(tmp_path / "s", [body_box(GRID)], slices, uids))
        with pytest.raises(InputError, match=message):
            build_phantom(ct, structures, CURVE, GRID)


def test_useless_structures_are_refused(tmp_path):
    far = Contours("Far", [circle(1, z, (80, 80)) for z in GRID.centres(0)])
    ct, structures = load(tmp_path, [body_box(GRID), far, Contours("Empty", [])])
    for name in ("Far", "Empty", "Absent"):
        with pytest.raises(InputError, match=name):
            build_phantom(ct, structures, CURVE, GRID, [Override(name, MATERIALS["water"], 1.0)])
        with pytest.raises(InputError):
            build_phantom(ct, structures, CURVE, GRID, external=name)
    with pytest.raises(InputError, match="outside the CT"):
        patient_extent(ct.grid, [structures["Far"]])
    with pytest.raises(InputError, match="does not overlap"):
        build_phantom(ct, structures, CURVE, Grid((2, 2, 2), (1, 1, 1), (500, 500, 500)))


def test_water_tank_and_slabs():
    tank = water_tank((10, 6, 4), (0.5, 0.5, 0.5), surface=1.0)
    np.testing.assert_allclose(tank.grid.lower, (1, -3, -2))
    np.testing.assert_allclose(tank.grid.upper, (11, 3, 2))
    assert tank.materials[0].name == "air" and tank.materials[1].name == "water"
    assert (tank.density == 1).all() and (tank.material == 1).all()
    layers = [Layer(MATERIALS["water"], 1.0, 0, 3), Layer(MATERIALS["lung_icru44"], 0.26, 3, 7)]
    box = Box(MATERIALS["titanium"], 4.54, (1, -1, -1), (2, 1, 1))
    phantom = slabs(layers, (4, 4), (0.5, 0.5, 0.5), [box])
    assert mass(phantom) == pytest.approx(16 * 3 + 0.26 * 16 * 4 + 3.54 * 4, rel=1e-6)
    assert phantom.density[8, 0, 0] == np.float32(0.26)
    with pytest.raises(ValueError, match="gap or overlap"):
        slabs([layers[0], Layer(MATERIALS["water"], 1.0, 4, 5)], (4, 4), (0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="whole numbers"):
        slabs(layers, (4, 4), (0.7, 0.5, 0.5))


def test_spine_phantom(shared):
    folder = shared / "cases" / "spine_l1"
    ct, structures = read_ct(folder), read_structures(folder / "RTSTRUCT.dcm")
    phantom = build_phantom(ct, structures, CURVE, ct.grid)
    assert [m.name for m in phantom.materials] == [
        "air",
        "lung_icru44",
        "soft_tissue_icru4",
        "cortical_bone_icrp",
    ]
    assert phantom.density.max() == pytest.approx(
        2.15 + (2.82 - 2.15) * (3382 - 2067) / (4000 - 2067), rel=1e-6
    )
    assert any("cuts BODY off on its left side" in text for text in phantom.audit["warnings"])


def test_a_hollow_body_is_said_and_a_shell_is_refused(tmp_path):
    """Inner contours of a body are air: a cavity is said, a body drawn as a wall is none."""
    outer = body_box(GRID).contours

    def drawn(share):
        middle = outer[0].mean(axis=0) * [1, 1, 0]
        inner = [middle + (contour - middle) * [share, share, 1] for contour in outer]
        return [Contours("BODY", [*outer, *inner], "EXTERNAL")]

    ct, structures = load(tmp_path, drawn(0.3))
    said = build_phantom(ct, structures, CURVE, GRID).audit["warnings"]
    assert sum("BODY is hollow" in text for text in said) == 1
    structures = read_structures(write_structures(tmp_path, drawn(0.8)))
    with pytest.raises(InputError, match="structure BODY: is hollow"):
        build_phantom(ct, structures, CURVE, GRID)
