"""What a comparison was made from, kept beside its dose, so that it can be made again with other limits.

docs/formats.md describes the file. It holds the patient's pseudonym and not who it is, and holds what a
comparison looks at: contours, the plan, its dose, the CT about the dose, and the phantom as coarse as
`validation.diagnosis` takes it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mc.plan.plan import Plan
from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.grid import Grid
from phantoms.hdf5 import read_array
from phantoms.identity import Identity, pseudonym
from phantoms.materials import Material
from phantoms.phantom import Phantom
from phantoms.structures import StructureSet
from phantoms.subvoxels import box_of
from validation.diagnosis.voxels import averaged, coarse_grid, factors
from validation.plan_check.packing import Numbers, pack, unpack
from validation.plan_check.points import ReferencePoint
from validation.plan_check.stated import NOTHING, Stated
from validation.rtdose import PlannedDose

FORMAT, FORMAT_VERSION = "mcverify inputs", 1
SHOWN, MARGIN = 0.02, 3.0  # the CT is kept where the plan has this share of its maximum, and [cm] about it
NEW_RUN = "run `mcverify plan` again"


@dataclass(frozen=True, eq=False)
class Record:
    """What a comparison takes beside the Monte Carlo dose and the limits.

    Parameters
    ----------
    patient : str
        Pseudonym.
    plan, structures, planned_dose, ct, phantom
        Without patient, file names and what no comparison looks at.
    quantity : {'dose to medium', 'dose to water'}
        Which Monte Carlo dose is compared.
    warnings : tuple of str
        What reading and running had to say.
    points : tuple of ReferencePoint
        That plan and dose name.
    stated : Stated
        What plan and dose state about themselves.
    dose_sha256 : str
        Of the file of the Monte Carlo dose; empty where there is none.
    """

    patient: str
    plan: Plan
    structures: StructureSet
    planned_dose: PlannedDose
    ct: CT
    phantom: Phantom
    quantity: str
    warnings: tuple[str, ...] = ()
    points: tuple[ReferencePoint, ...] = ()
    stated: Stated = NOTHING
    dose_sha256: str = ""

    @classmethod
    def of(
        cls,
        *,
        plan: Plan,
        structures: StructureSet,
        planned_dose: PlannedDose,
        ct: CT,
        phantom: Phantom,
        quantity: str,
        warnings: Sequence[str] = (),
        points: Sequence[ReferencePoint] = (),
        stated: Stated = NOTHING,
        identity: Identity | None = None,
    ) -> Record:
        """Leave out who the patient of an export is, and what no comparison needs.

        Parameters
        ----------
        plan, structures, planned_dose, ct, phantom, quantity, warnings, points, stated
            As they were read and computed; `planned_dose` of the whole course.
        identity : Identity, optional
            Of the patient; what reveals it is taken out of every text.
        """
        identity = identity or Identity()
        folders = {str(Path(source).parent) for source in (planned_dose.path, structures.source)}
        named = {
            roi.name: identity.hidden(roi.name) if identity.is_revealed_by(roi.name) else roi.name
            for roi in structures.rois
        }

        def anonymise(text: str) -> str:
            return named.get(text) or identity.hidden(without_folders(text, folders))

        grid = coarse_grid(phantom)
        middle = tuple(
            slice(k // 2, n - n % k, k)
            for k, n in zip(factors(phantom.grid), phantom.grid.shape, strict=True)
        )
        return cls(
            patient=pseudonym(plan.patient_id or planned_dose.patient_id),
            plan=_anonymised(Plan, replace(plan, patient_id=""), anonymise),
            structures=_anonymised(
                StructureSet,
                replace(structures, patient_id="", images={}, source="RTSTRUCT", label=""),
                anonymise,
            ),
            planned_dose=replace(planned_dose, path=Path("RTDOSE"), patient_id=""),
            ct=_about_the_dose(ct, planned_dose),
            phantom=replace(
                phantom,
                grid=grid,
                density=averaged(phantom.density, factors(phantom.grid)),
                material=phantom.material[middle],
                audit=_anonymised(dict, phantom.audit, anonymise),
            ),
            quantity=quantity,
            warnings=tuple(map(anonymise, warnings)),
            points=tuple(_anonymised(ReferencePoint, point, anonymise) for point in points),
            stated=_anonymised(Stated, stated, anonymise),
        )

    @property
    def folders(self) -> set[str]:
        """Folders of the export, whose names may identify the patient."""
        return {str(Path(source).parent) for source in (self.planned_dose.path, self.structures.source)}

    def save(self, path: str | Path, dose_file: Path) -> Record:
        """Write the record of the dose in `dose_file` as HDF5, whole or not at all; returns what was written.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        numbers, dose_sha256 = Numbers(), digest(dose_file)
        text = {
            "dose_sha256": dose_sha256,
            "patient": self.patient,
            "quantity": self.quantity,
            "warnings": self.warnings,
            "audit": self.phantom.audit,
            "patient_position": self.ct.patient_position,
        }
        for name in ("plan", "structures"):
            text[name] = pack(getattr(self, name), numbers)
        text["plan_dose"] = pack(replace(self.planned_dose, dose=np.empty(0)), numbers)
        text["points"] = pack(self.points, numbers)
        text["stated"] = pack(self.stated, numbers)
        text["materials"] = pack(self.phantom.materials, numbers)
        image = io.BytesIO()  # written by Python: the HDF5 library copes badly with a disk that fills up
        with h5py.File(image, "w") as file:
            file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
            file.attrs["axes"] = "z y x"
            _put(file, "text", np.frombuffer(json.dumps(text).encode(), np.uint8))
            _put(file, "numbers", numbers.array())
            _put(file, "plan_dose", self.planned_dose.dose.astype(np.float32), self.planned_dose.grid, "Gy")
            whole = np.rint(self.ct.hu).astype(np.int16)
            hu = whole if np.array_equal(whole, self.ct.hu) else self.ct.hu.astype(np.float32)
            _put(file, "ct", hu, self.ct.grid, "HU")
            _put(file, "density", self.phantom.density, self.phantom.grid, "g/cm3")
            _put(file, "material", self.phantom.material, self.phantom.grid)
        with replacing(path) as partial:
            partial.write_bytes(image.getbuffer())
        return replace(self, dose_sha256=dose_sha256)

    @classmethod
    def load(cls, path: str | Path, dose_file: Path) -> Record:
        """Read a record, which must belong to the dose in `dose_file`.

        Raises
        ------
        InputError
            If it is missing, damaged, or of another dose.
        """
        path = Path(path)
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(path, "an HDF5 file, but not the inputs of a comparison")
                if (version := int(file.attrs["format_version"])) != FORMAT_VERSION:
                    problem = f"inputs format {version}, this mcverify reads {FORMAT_VERSION}"
                    raise InputError(path, problem, NEW_RUN)
                text = json.loads(read_array(file, "text").tobytes())
                if text["dose_sha256"] != digest(dose_file):
                    raise InputError(dose_file, f"is not the dose that {path.name} was kept with", NEW_RUN)
                return cls._read(file, text)
        except FileNotFoundError:
            raise InputError(
                path, "no such file: the result is of an older mcverify, or not a result of a plan", NEW_RUN
            ) from None
        except (
            *(KeyError, OSError, ValueError, TypeError, RuntimeError),
            *(ArithmeticError, AttributeError),
        ) as error:
            raise InputError(path, f"cannot be read as inputs: {error}", f"damaged? {NEW_RUN}") from None

    @classmethod
    def _read(cls, file: h5py.File, text: Mapping[str, Any]) -> Record:
        numbers = read_array(file, "numbers")
        ct_grid, hu = _take(file, "ct")
        phantom_grid, density = _take(file, "density")
        _, dose = _take(file, "plan_dose")
        stated = unpack(PlannedDose, text["plan_dose"], numbers)
        materials = unpack(tuple[Material, ...], text["materials"], numbers)
        return cls(
            patient=text["patient"],
            plan=unpack(Plan, text["plan"], numbers),
            structures=unpack(StructureSet, text["structures"], numbers),
            planned_dose=replace(stated, dose=dose.astype(np.float64)),
            ct=_anonymous_ct(ct_grid, hu.astype(np.float32), text["patient_position"]),
            phantom=Phantom(phantom_grid, density, _take(file, "material")[1], materials, text["audit"]),
            quantity=text["quantity"],
            warnings=tuple(text["warnings"]),
            points=unpack(tuple[ReferencePoint, ...], text["points"], numbers),
            stated=unpack(Stated, text.get("stated", {}), numbers),  # older files have none
            dose_sha256=text["dose_sha256"],
        )


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(path, "no such file", NEW_RUN) from None
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None


def _anonymised(kind: type, value: Any, anonymise: Callable[[str], str]) -> Any:
    """`value` of a kind with all its texts as `anonymise` has them."""

    def anonymise_all(packed: Any) -> Any:
        if isinstance(packed, str):
            return anonymise(packed)
        if isinstance(packed, dict):
            return {key: anonymise_all(item) for key, item in packed.items()}
        return [anonymise_all(item) for item in packed] if isinstance(packed, list) else packed

    numbers = Numbers()
    packed = anonymise_all(pack(value, numbers))
    return unpack(kind, packed, numbers.array())


def _about_the_dose(ct: CT, planned_dose: PlannedDose) -> CT:
    """The part of a CT that figures show, and none of its identifiers."""
    high = box_of(planned_dose.dose >= SHOWN * planned_dose.dose.max())
    box = []
    for axis, part in enumerate(high):
        edges = planned_dose.grid.edges(axis)[[part.start, part.stop]] + (-MARGIN, MARGIN)
        first, last = (edges - ct.grid.lower[axis]) / ct.grid.spacing[axis]
        n = ct.grid.shape[axis]
        start = int(np.clip(np.floor(first), 0, n - 1))
        box.append(slice(start, int(np.clip(np.ceil(last), start + 1, n))))
    origin = tuple(ct.grid.centres(axis)[part.start] for axis, part in enumerate(box))
    hu = ct.hu[tuple(box)].copy()  # the whole need not stay in memory
    return _anonymous_ct(Grid(hu.shape, ct.grid.spacing, origin), hu, ct.patient_position)


def _anonymous_ct(grid: Grid, hu: np.ndarray, position: str) -> CT:
    return CT(grid, hu, "", "", "", position, "", frozenset())


def _put(file: h5py.File, name: str, values: np.ndarray, grid: Grid | None = None, units: str = "") -> None:
    """Write an array, compressed and with checksums, and its grid."""
    packed = {"compression": "gzip", "shuffle": True, "fletcher32": True} if values.size else {}
    dataset = file.create_dataset(name, data=values, **packed)
    if grid is not None:
        dataset.attrs["spacing_cm"], dataset.attrs["origin_cm"] = grid.spacing, grid.origin
    if units:
        dataset.attrs["units"] = units


def _take(file: h5py.File, name: str) -> tuple[Grid, np.ndarray]:
    """An array and its grid."""
    values, attributes = read_array(file, name), file[name].attrs
    return Grid(values.shape, tuple(attributes["spacing_cm"]), tuple(attributes["origin_cm"])), values


def without_folders(text: str, folders: Iterable[str]) -> str:
    """A text about files without the folders they lie in."""
    for folder in folders:
        if folder != ".":
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
    return text
