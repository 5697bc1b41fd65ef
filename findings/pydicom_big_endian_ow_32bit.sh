#!/usr/bin/env bash
# pydicom's pixel_array of a 32-bit RTDOSE in Explicit VR Big Endian has the halves of every pixel swapped.
#
# Pixel Data of VR OW is a stream of 16-bit words (DICOM PS3.5 6.2). A 32-bit pixel takes two of them, its lower half
# first (PS3.5 8.1.1), and big endian swaps the bytes within each word, not the words (PS3.5 7.3). pydicom takes each
# pixel for one 32-bit integer in big endian, so `pixel_array` gives another dose, without a warning: 2,258,632,705 for
# 100,000. GDCM, beneath SimpleITK, reads the words. The bytes are laid out here as the standard says.
#
# Seen with pydicom 3.0.1 and SimpleITK 2.5.2: the two disagree in every pixel, GDCM gives what was written.
# Exit code 0 as long as this is so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pydicom==3.0.1 numpy==2.3.5 SimpleITK==2.5.2

cat > "$work/show.py" <<'PYTHON'
import sys

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, RTDoseStorage, generate_uid

written = np.array([[1, 70_000], [100_000, 3_000_000]], np.uint32)
halves = np.stack([written & 0xFFFF, written >> 16], axis=-1)  # the lower half first

data = Dataset()
data.SOPClassUID, data.SOPInstanceUID = RTDoseStorage, generate_uid()
data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = (generate_uid() for _ in range(3))
data.Modality, data.PatientID, data.PatientName = "RTDOSE", "1", "A"
data.Rows, data.Columns, data.NumberOfFrames = 2, 2, 1
data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
data.BitsAllocated, data.BitsStored, data.HighBit = 32, 32, 31
data.PixelSpacing, data.ImagePositionPatient = [1, 1], [0, 0, 0]
data.ImageOrientationPatient, data.GridFrameOffsetVector = [1, 0, 0, 0, 1, 0], [0]
data.FrameIncrementPointer = 0x3004000C
data.DoseUnits, data.DoseType, data.DoseSummationType, data.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 1e-3
data.add_new("PixelData", "OW", halves.astype(">u2").tobytes())
data.file_meta = FileMetaDataset()
data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
data.save_as(sys.argv[1], enforce_file_format=True)

assert pydicom.dcmread(sys.argv[1]).PixelData == halves.astype(">u2").tobytes()
by_pydicom = pydicom.dcmread(sys.argv[1]).pixel_array
reader = SimpleITK.ImageFileReader()
reader.SetFileName(sys.argv[1])
reader.SetImageIO("GDCMImageIO")
by_gdcm = SimpleITK.GetArrayFromImage(reader.Execute()).squeeze()
print("written", written.ravel().tolist())
print("pydicom", pydicom.__version__, by_pydicom.ravel().tolist())
print("GDCM", SimpleITK.Version.VersionString(), by_gdcm.ravel().tolist())
swapped = (written << 16) | (written >> 16)
assert np.array_equal(by_pydicom, swapped), "pydicom no longer swaps the halves"
assert np.array_equal(by_gdcm, written), "GDCM reads something else"
PYTHON
"$work/venv/bin/python" "$work/show.py" "$work/dose.dcm"
