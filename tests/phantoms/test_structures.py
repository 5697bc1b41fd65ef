"""Structures: masks, sub-voxel volumes against analytic ones, holes, and what is refused."""

from __future__ import annotations

import time
import warnings
from copy import deepcopy

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from pydicom.uid import MRImageStorage

from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.polygons import mask_by_centre, volume, volume_fraction
from phantoms.structures import read_structures
from tests.dicom_factory import Contours, Uids, circle, rectangle, write_plan, write_structures

PLANES = np.arange(-3, 3.01, 0.1)
COARSE = Grid((30, 31, 33), (0.25, 0.23, 0.21), (-3.6, -3.4, -3.3))  # in step with nothing


def read_one(tmp_path, contours, **options):
    path = write_structures(tmp_path, [Contours("ROI", contours, **options)])
    return read_structures(path)["ROI"]


def sphere(radius, planes):
    return [circle(np.sqrt(radius**2 - z**2), z) for z in planes if abs(z) < radius]


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.5])
def test_sphere_volume(tmp_path, radius):
    planes = (np.arange(200) - 99.5) * radius / 20
    roi = read_one(tmp_path, sphere(radius, planes))
    expected = 4 / 3 * np.pi * radius**3
    assert volume(roi) == pytest.approx(expected, rel=2e-3)
    fraction = volume_fraction(roi, COARSE)
    assert fraction.sum() * COARSE.voxel_volume == pytest.approx(expected, rel=3e-3)
    assert fraction.min() >= 0 and fraction.max() <= 1 + 1e-5


def test_small_sphere_keeps_its_volume_where_centres_would_lose_it(tmp_path):
    planes = (np.arange(20) - 9.5) * 0.02
    roi = read_one(tmp_path, sphere(0.15, planes))
    grid = Grid((9, 9, 9), (0.5, 0.5, 0.5), (-2.1, -2.1, -2.1))
    expected = 4 / 3 * np.pi * 0.15**3
    assert volume_fraction(roi, grid).sum() * grid.voxel_volume == pytest.approx(expected, rel=0.01)
    assert abs(mask_by_centre(roi, grid).sum() * grid.voxel_volume - expected) > 0.5 * expected


@pytest.mark.parametrize("geometry", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_inner_contour_is_a_hole(tmp_path, geometry):
    contours = [circle(r, z) for z in PLANES for r in (2.0, 0.8)]
    roi = read_one(tmp_path, contours, geometry=geometry)
    expected = np.pi * (4 - 0.64) * 6.1  # 61 planes of 0.1 cm
    assert volume_fraction(roi, COARSE).sum() * COARSE.voxel_volume == pytest.approx(expected, rel=2e-3)
    x, y = COARSE.centres(2)[None], COARSE.centres(1)[:, None]
    r = np.hypot(x, y)
    clear = (np.abs(r - 2) > 1e-3) & (np.abs(r - 0.8) > 1e-3)
    middle = COARSE.shape[0] // 2
    np.testing.assert_array_equal(mask_by_centre(roi, COARSE)[middle][clear], ((r < 2) & (r > 0.8))[clear])


def test_keyhole_contour_is_a_hole(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 721)
    outer = np.column_stack([2 * np.cos(angle), 2 * np.sin(angle)])
    inner = np.column_stack([np.cos(angle[::-1]), np.sin(angle[::-1])])
    outline = np.vstack([outer, inner])  # along the x axis in, and back out
    roi = read_one(tmp_path, [np.column_stack([outline, np.full(len(outline), z)]) for z in PLANES])
    expected = np.pi * 3 * 6.1
    assert volume_fraction(roi, COARSE).sum() * COARSE.voxel_volume == pytest.approx(expected, rel=2e-3)
    grid = Grid((1, 3, 5), (0.1, 0.5, 0.5), (0.0, -0.5, -1.0))  # a row runs along the keyhole's channel
    np.testing.assert_array_equal(mask_by_centre(roi, grid)[0, :, 1:4], False)


def test_separate_contours_on_a_slice_add_up(tmp_path):
    roi = read_one(tmp_path, [rectangle((x, x + 0.5), (0, 1), z) for z in PLANES for x in (-2, 0.3, 1)])
    assert volume(roi) == pytest.approx(3 * 0.5 * 6.1, rel=1e-6)
    assert volume_fraction(roi, COARSE).sum() * COARSE.voxel_volume == pytest.approx(9.15, rel=1e-5)


def test_orientation_of_contours_does_not_matter(tmp_path):
    forth = read_one(tmp_path, [circle(1, z) for z in PLANES])
    back = read_one(tmp_path, [circle(1, z)[::-1] for z in PLANES])
    np.testing.assert_allclose(volume_fraction(forth, COARSE), volume_fraction(back, COARSE), atol=1e-6)


def test_voxels_take_the_nearest_contour_plane_and_end_half_a_slice_beyond(tmp_path):
    planes = np.arange(5) * 0.3
    roi = read_one(tmp_path, [rectangle((-1, 1 + k), (-1, 1), z) for k, z in enumerate(planes)])
    grid = Grid((40, 1, 1), (0.1, 0.1, 0.1), (-1.04, 0.0, 1.5))
    z = grid.centres(0)
    mask = mask_by_centre(roi, grid)[:, 0, 0]
    np.testing.assert_array_equal(mask, (z > 0.15) & (z < 1.35))  # x = 1.5 lies in planes 1 to 4
    fraction = volume_fraction(roi, Grid((1, 1, 1), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    assert fraction[0, 0, 0] == pytest.approx((1.35 + 0.15) / 3, rel=1e-6)


def test_uneven_planes_tile_without_gap_or_overlap(tmp_path):
    planes = [0.0, 0.2, 0.4, 0.65, 0.85]
    roi = read_one(tmp_path, [rectangle((-1, 1), (-1, 1), z) for z in planes])
    assert volume(roi) == pytest.approx(4 * (0.85 + 0.2), rel=1e-6)
    assert not roi.warnings


def test_every_second_slice_contoured_is_filled_between(tmp_path):
    roi = read_one(tmp_path, [rectangle((-1, 1), (-1, 1), z) for z in np.arange(6) * 0.6])
    assert volume(roi) == pytest.approx(4 * 3.6, rel=1e-6)


def test_a_wide_gap_stays_empty_and_is_said(tmp_path):
    planes = [0.0, 0.3, 0.6, 2.1, 2.4]
    roi = read_one(tmp_path, [rectangle((-1, 1), (-1, 1), z) for z in planes])
    assert volume(roi) == pytest.approx(4 * 1.5, rel=1e-6)
    assert "no contours in 1 gap(s), z = 6.0 to 21.0 mm" in roi.warnings[0]


def closed(contour):
    return np.vstack([contour, contour[:1]])


def test_a_contour_drawn_twice_counts_once(tmp_path):
    contours = [circle(1, z) for z in PLANES]
    for copy in (contours[10], contours[10][::-1], np.roll(contours[10], 7, axis=0), closed(contours[10])):
        roi = read_one(tmp_path, [*contours, copy])
        assert volume(roi) == pytest.approx(np.pi * 6.1, rel=1e-3)
    assert "drawn twice" in roi.warnings[0]


def test_single_contour_takes_the_spacing_of_the_others(tmp_path):
    path = write_structures(
        tmp_path,
        [Contours("A", [rectangle((0, 1), (0, 1), 0.0)]), Contours("B", [circle(1, z) for z in PLANES])],
    )
    assert volume(read_structures(path)["A"]) == pytest.approx(0.1, rel=1e-4)


def test_vertices_on_voxel_centres_count_each_voxel_once(tmp_path):
    """Two squares that share an edge through voxel centres: no voxel in both, none lost."""
    left = read_one(tmp_path, [rectangle((-1, 0), (-1, 1), z) for z in PLANES])
    right = read_one(tmp_path, [rectangle((0, 1), (-1, 1), z) for z in PLANES])
    both = read_one(tmp_path, [rectangle((-1, 1), (-1, 1), z) for z in PLANES])
    grid = Grid((5, 9, 9), (0.5, 0.5, 0.5), (-1.0, -2.0, -2.0))
    a, b, c = (mask_by_centre(roi, grid).astype(int) for roi in (left, right, both))
    np.testing.assert_array_equal(a + b, c)
    assert a.sum() == b.sum() == 5 * 2 * 4


def test_attributes_are_read(tmp_path):
    path = write_structures(
        tmp_path,
        [Contours("PTV 1", [circle(1, z) for z in PLANES], "PTV", physical={"REL_MASS_DENSITY": 1.2})],
    )
    found, uids = read_structures(path), Uids()
    roi = found["PTV 1"]
    assert (roi.number, roi.type, roi.colour) == (1, "PTV", (255, 0, 0))
    assert roi.physical == {"REL_MASS_DENSITY": 1.2}
    assert roi.contour_spacing == pytest.approx(0.1)
    assert (found.frame_of_reference_uid, found.sop_uid) == (uids.frame, uids.structures)
    assert found.by_number(1) is roi
    assert {series: len(images) for series, images in found.images.items()} == {uids.series: 12}


def test_external_is_found_by_type_then_by_name(tmp_path):
    disc = [circle(1, z) for z in PLANES]
    by_type = read_structures(
        write_structures(tmp_path, [Contours("Outline 1", disc, "EXTERNAL"), Contours("BODY", disc)])
    )
    assert by_type.external().name == "Outline 1"
    assert by_type.external("BODY").name == "BODY"
    by_name = read_structures(write_structures(tmp_path, [Contours("Body ", disc), Contours("PTV", disc)]))
    assert by_name.external().name == "Body"
    with pytest.raises(InputError, match="none named BODY"):
        read_structures(write_structures(tmp_path, [Contours("PTV", disc)])).external()
    with pytest.raises(InputError, match="several body outlines: A, B"):
        read_structures(
            write_structures(tmp_path, [Contours("A", disc, "EXTERNAL"), Contours("B", disc, "EXTERNAL")])
        ).external()


@pytest.mark.parametrize(
    ("contours", "geometry", "message"),
    [
        ([], "CLOSED_PLANAR", "ROI: has no contours"),
        ([np.array([[0, 0, 0]])], "POINT", "ROI: has no contours"),
        ([circle(1, 0)[:, [2, 0, 1]]], "CLOSED_PLANAR", "plane of constant z"),
        ([circle(1, 0)], "CLOSED_PLANAR", "thickness is unknown"),
    ],
)
def test_a_structure_that_cannot_be_filled_is_refused_when_needed(tmp_path, contours, geometry, message):
    roi = read_one(tmp_path, contours, geometry=geometry)
    for use in (mask_by_centre, volume_fraction):
        with pytest.raises(InputError, match=message):
            use(roi, COARSE)


def test_names_must_be_known_and_unique(tmp_path):
    disc = [circle(1, z) for z in PLANES]
    structures = read_structures(write_structures(tmp_path, [Contours("A", disc), Contours("A", disc)]))
    with pytest.raises(InputError, match="2 structures named A"):
        structures["A"]
    with pytest.raises(InputError, match="no structure B"):
        structures["B"]
    with pytest.raises(InputError, match="no structure of number 7"):
        structures.by_number(7)


def _drop(keyword):
    return lambda data: delattr(data, keyword)


def _other_frame(data):
    data.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = "1.2.3"


def _unknown_number(data):
    data.ROIContourSequence[1].ReferencedROINumber = 7


def _lost_point(data):
    data.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 11


def _same_number(data):
    data.StructureSetROISequence[1].ROINumber = 1


def _described_twice(data):
    data.ROIContourSequence[1].ReferencedROINumber = 1


def _odd_coordinates(data):
    data.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2", "3", "4"]


def _nan(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.ROIContourSequence[0].ContourSequence[0].ContourData[4] = "nan"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_drop("StructureSetROISequence"), "Structure Set ROI Sequence"),
        (_drop("ROIContourSequence"), "holds no contours"),
        (_drop("RTROIObservationsSequence"), "no ROI observations"),
        (_drop("SOPClassUID"), "not a DICOM object"),
        (_other_frame, "2 frames of reference"),
        (_same_number, "same ROI Number"),
        (_described_twice, "number 1 twice"),
        (_unknown_number, "structure number 7 that it does not list"),
        (_lost_point, r"structure A: Number of Contour Points \(3006,0046\) is 11, but there are 10"),
        (_odd_coordinates, "4 coordinates"),
        (_nan, "not finite"),
    ],
)
def test_a_broken_structure_set_is_refused(tmp_path, edit, message):
    disc = [circle(1, z, n=10) for z in PLANES]
    path = write_structures(tmp_path, [Contours("A", disc), Contours("B", disc)], edit=edit)
    with pytest.raises(InputError, match=message):
        read_structures(path)


def test_a_plan_is_not_a_structure_set(tmp_path):
    with pytest.raises(InputError, match="not an RTSTRUCT"):
        read_structures(write_plan(tmp_path))


def test_truncation_anywhere_is_noticed(tmp_path):
    """A cut RTSTRUCT must not silently lose structures, wherever it was cut."""
    path = write_structures(
        tmp_path, [Contours(name, [circle(1, z, n=10) for z in PLANES[:3]]) for name in "AB"]
    )
    content = path.read_bytes()
    whole = len(content)
    for length in range(140, whole, 61):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_structures(path)


@pytest.mark.slow
def test_a_large_body_is_voxelised_in_time(tmp_path):
    grid = Grid((300, 512, 512), (0.1, 0.1, 0.1), (-15.0, -25.55, -25.55))
    roi = read_one(tmp_path, [circle(20, z, n=2000) for z in grid.centres(0)])
    start = time.process_time()
    assert mask_by_centre(roi, grid).sum() * grid.voxel_volume == pytest.approx(np.pi * 400 * 30, rel=1e-3)
    assert volume_fraction(roi, grid).sum(dtype=float) * 1e-3 == pytest.approx(np.pi * 400 * 30, rel=1e-3)
    assert time.process_time() - start < 40


def test_spine_structures(shared):
    structures = read_structures(shared / "cases" / "spine_l1" / "RTSTRUCT.dcm")
    assert structures.external().name == "BODY" and len(structures.rois) == 9
    grid = Grid((112, 101, 122), (0.3, 0.3, 0.3), (9.43018, -31.1319, -18.50437))
    # the case's README: PTV_L1 has 40.9 cc as voxels whose centre lies inside
    assert mask_by_centre(structures["PTV_L1"], grid).sum() * grid.voxel_volume == pytest.approx(
        40.9, abs=0.05
    )


def _explicit_un(data):
    """What pydicom itself does with contours of more than 64 kB, and a writer may do with any value."""
    for drawn in data.ROIContourSequence:
        for contour in drawn.ContourSequence:
            raw = contour.get_item("ContourData")
            contour.set_original_encoding(False, True)
            contour[raw.tag] = raw._replace(VR="UN")


def test_values_stored_as_vr_un_are_read(tmp_path):
    """PS3.5 6.2.2: of more than 64 kB, and shorter ones."""
    disc = [circle(1, z, n=3000) for z in PLANES[:3]]
    structures = [Contours("A", disc), Contours("B", [circle(1, z, n=10) for z in PLANES[:3]])]
    found = read_structures(write_structures(tmp_path, structures, edit=_explicit_un))
    assert (
        pydicom.dcmread(tmp_path / "RTSTRUCT.dcm").ROIContourSequence[0].ContourSequence[0]["ContourData"].VR
        == "UN"
    )
    assert volume(found["A"]) == pytest.approx(np.pi * 0.3, rel=1e-4)
    assert len(found["B"].contours[0]) == 10


def test_a_sequence_stored_as_vr_un_is_read(tmp_path):
    """Of known length, in implicit VR: a value like another."""
    path = write_structures(tmp_path, [Contours("A", [circle(1, z, n=2000) for z in PLANES[:3]])])
    data = pydicom.dcmread(path)
    part = Dataset()
    part.ROIContourSequence = data.ROIContourSequence
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, part)
    data["ROIContourSequence"] = DataElement(Tag("ROIContourSequence"), "UN", buffer.getvalue()[8:])
    data.save_as(path)
    assert volume(read_structures(path)["A"]) == pytest.approx(np.pi * 0.3, rel=1e-4)


def _mr_frame(first, series=True):
    """List the frame of reference of an MR too, and draw a structure in it."""

    def edit(data):
        frame = deepcopy(data.ReferencedFrameOfReferenceSequence[0])
        frame.FrameOfReferenceUID = "1.2.3"
        images = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
        images.SeriesInstanceUID = "1.2.3.4"
        for image in images.ContourImageSequence:
            image.ReferencedSOPClassUID = MRImageStorage
            image.ReferencedSOPInstanceUID = "1.2.3.5"
        if not series:
            del frame.RTReferencedStudySequence
        data.ReferencedFrameOfReferenceSequence.insert(0 if first else 1, frame)
        data.StructureSetROISequence[2].ReferencedFrameOfReferenceUID = "1.2.3"

    return edit


@pytest.mark.parametrize("series", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_structures_of_other_frames_and_series_are_left_out_in_any_order(tmp_path, first, series):
    disc = [circle(1, z, n=10) for z in PLANES]
    drawn = [Contours("BODY", disc, "EXTERNAL"), Contours("A", disc), Contours("A", disc[:5])]
    found = read_structures(write_structures(tmp_path, drawn, edit=_mr_frame(first, series)))
    assert found.names() == ["BODY", "A"] and len(found["A"].contours) == len(disc)
    assert found.frame_of_reference_uid == Uids().frame and list(found.images) == [Uids().series]
    assert found.warnings == ("left out, as drawn in another frame of reference than the CT's: A",)
    other = read_structures(tmp_path / "RTSTRUCT.dcm", "1.2.3")
    assert other.names() == ["A"] and len(other["A"].contours) == 5


def test_the_frame_with_most_contours_is_taken_where_there_is_no_body(tmp_path):
    disc = [circle(1, z, n=10) for z in PLANES]
    drawn = [Contours("A", disc), Contours("B", disc), Contours("C", disc)]
    found = read_structures(write_structures(tmp_path, drawn, edit=_mr_frame(True)))
    assert found.names() == ["A", "B"]


def _second_observation(kind, number=9):
    def edit(data):
        item = deepcopy(data.RTROIObservationsSequence[0])
        item.ObservationNumber, item.RTROIInterpretedType = number, kind
        data.RTROIObservationsSequence.insert(0, item)

    return edit


@pytest.mark.parametrize(
    ("kind", "number", "expected", "said"),
    [
        ("ORGAN", 9, "ORGAN", ""),
        ("", 0, "ORGAN", ""),
        ("AVOIDANCE", 9, "ORGAN", "A is stated as ORGAN and as AVOIDANCE: taken as ORGAN"),
        ("AVOIDANCE", 0, "AVOIDANCE", "A is stated as AVOIDANCE and as ORGAN: taken as AVOIDANCE"),
    ],
)
def test_a_structure_may_have_several_observations(tmp_path, kind, number, expected, said):
    """Their numbers decide, not their order."""
    drawn = [Contours("A", [circle(1, z, n=10) for z in PLANES])]
    found = read_structures(write_structures(tmp_path, drawn, edit=_second_observation(kind, number)))
    assert (
        found["A"].type == expected
        and (said in " ".join(found.warnings))
        and bool(said) == bool(found.warnings)
    )


def test_contours_that_enclose_nothing_are_named(tmp_path):
    """One of another geometric type among closed ones was dropped in silence."""

    def edit(data):
        contours = data.ROIContourSequence[0].ContourSequence
        contours[3].ContourGeometricType = "OPEN_PLANAR"
        contours[4].ContourGeometricType, contours[5].ContourGeometricType = (
            "OPEN_NONPLANAR",
            "CLOSED_PLANNAR",
        )

    marker = Contours("isocentre", [np.zeros((1, 3))], geometry="POINT")
    body = Contours("A", [circle(1, z, n=10) for z in PLANES])
    found = read_structures(write_structures(tmp_path, [body, marker], edit=edit))
    (said,) = [text for text in found.warnings if "enclose nothing" in text]
    assert said.endswith("1 OPEN_PLANAR, 1 OPEN_NONPLANAR, 1 CLOSED_PLANNAR")
    assert found["isocentre"].is_empty and "isocentre" not in " ".join(found.warnings)
