"""HDF5 of others: nothing of other files, nothing larger than the file can hold."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mc.dose import Dose
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hdf5 import dataset_of, group_of, holds, read_array, read_text

GRID = Grid((2, 3, 4), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.arange(5.0)
    (tmp_path / "raw").write_bytes(bytes(80))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["numbers"], file["text"] = np.arange(3.0), "hello"
        file.create_group("group")["numbers"] = np.arange(4)
        file["external"] = h5py.ExternalLink("other.h5", "secret")
        file["soft"] = h5py.SoftLink("/external")
        file.create_dataset("stored", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (5,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("huge", (10**6, 10**6), "f8", chunks=(100, 100))
        file.create_dataset("chunk", (1,), "f8", maxshape=(None,), chunks=(10**8,))
        file["words"] = np.array([b"a", b"b"])
        yield file


def test_what_lies_in_the_file_is_read(file):
    assert read_array(file, "numbers").tolist() == [0, 1, 2] and read_text(file, "text") == b"hello"
    assert read_array(file, "group/numbers").size == read_array(group_of(file, "group"), "numbers").size == 4
    assert holds(file, "external") and not holds(file, "nothing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("external", "link to elsewhere"),
        ("soft", "link to elsewhere"),
        ("stored", "lies in another file"),
        ("virtual", "lies in another file"),
        ("huge", "claims 8e.03 GB"),
        ("chunk", "claims 0.8 GB"),
        ("group", "is not an array"),
        ("words", "not numbers"),
        ("text", "not numbers"),
    ],
)
def test_what_is_not_read(file, name, message):
    with pytest.raises(ValueError, match=message):
        read_array(file, name)


def test_other_kinds(file):
    for read, name in ((read_text, "numbers"), (group_of, "numbers"), (dataset_of, "group")):
        with pytest.raises(ValueError):
            read(file, name)
    with pytest.raises(KeyError):
        read_array(file, "nothing")


@pytest.mark.parametrize("kind", ["external", "huge", "group", "text"])
def test_a_dose_is_refused_in_one_line(tmp_path, kind):
    path = tmp_path / "dose.h5"
    Dose(GRID, np.ones(GRID.shape), np.zeros(GRID.shape), np.zeros(GRID.shape), {}).save(path)
    with h5py.File(path, "r+") as file:
        del file["sigma"]
        if kind == "external":
            file["sigma"] = h5py.ExternalLink("other.h5", "secret")
        elif kind == "huge":
            file.create_dataset("sigma", (10**5, 10**5, 10**5), "f4", chunks=(10, 10, 10))
        elif kind == "group":
            file.create_group("sigma")
        else:
            file["sigma"] = "hello"
    with pytest.raises(InputError, match=r"dose.h5: not a dose file that can be read: sigma "):
        Dose.load(path)
