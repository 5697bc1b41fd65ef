"""Phase spaces packed without loss, as the project ships its own: half the size, unpacked at first use.

`NAME.IAEAphsp.npz` beside `NAME.IAEAheader` stands for `NAME.IAEAphsp`, byte for byte. Every column of the
records is stored as byte planes. Directions are predicted, and only the differences are stored: the photons
of one history start from nearly the same point of the target, so the first particle's direction is predicted
from the centre of the target, and those of the others from the point to which the first projects back.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from phantoms import user_folders
from phantoms.arrays import byte_planes, from_byte_planes, load_arrays, save_arrays
from phantoms.errors import InputError
from phantoms.files import replacing

PACKED = ".npz"  # behind NAME.IAEAphsp
MAX_RADIUS = 0.15  # of a point of origin on the target [cm]; a particle from farther out was scattered


def cache_folder() -> Path:
    """Where phase spaces lie that are made or unpacked at first use."""
    return user_folders.cache_folder() / "phase-spaces"


def pack(records: np.ndarray, z: float, path: Path) -> None:
    """Write the packed form of a phase space on one plane.

    Parameters
    ----------
    records : (n,) structured array
        Raw records (`mc.source.phase_space.record_dtype`), with x, y, u and v stored.
    z : float
        Distance of the plane from the target [cm].
    path : Path
        `NAME.IAEAphsp.npz`.
    """
    columns = {name: records[name] for name in records.dtype.names if name not in ("u", "v")}
    directions = np.stack([records["u"], records["v"]])
    points = _points(columns, directions, z)
    columns["directions"] = _difference(_bits(directions), _bits(_lines(columns, points, z)))
    digest = hashlib.sha256(records.tobytes()).hexdigest()
    save_arrays(path, sha256=digest, **{name: byte_planes(column) for name, column in columns.items()})


def unpack(path: Path, layout: np.dtype, z: float) -> Path:
    """The data file that `path` was packed from: from the user's cache, or unpacked into it.

    Parameters
    ----------
    path : Path
        `NAME.IAEAphsp.npz`, as `pack` wrote it.
    layout : dtype
        Of a record.
    z : float
        Distance of the plane from the target [cm].

    Raises
    ------
    InputError
        If the file is damaged or the cache cannot be written.
    """
    try:
        digest = str(load_arrays(path, "sha256")["sha256"])
        data = cache_folder() / digest[:32] / path.stem
        if data.is_file() and hashlib.sha256(data.read_bytes()).hexdigest() == digest:
            return data
        records = _unpacked(load_arrays(path), layout, z)
    except OSError as error:
        raise InputError(path, f"cannot read the phase space: {error.strerror}") from None
    except (ValueError, KeyError) as error:
        raise InputError(path, f"is no packed phase space: {error}", "install mcverify anew") from None
    if hashlib.sha256(records.tobytes()).hexdigest() != digest:
        raise InputError(path, "does not unpack to what was packed", "install mcverify anew")
    with replacing(data, "cannot be unpacked", private=False, parents=True) as partial:
        partial.write_bytes(records.tobytes())
    return data


def _unpacked(stored: dict[str, np.ndarray], layout: np.dtype, z: float) -> np.ndarray:
    columns = {
        name: from_byte_planes(stored[name], layout[name].newbyteorder("=").str)
        for name in layout.names
        if name not in ("u", "v")
    }
    difference = from_byte_planes(stored["directions"], "u4")
    # right for the first particles of histories only, and no others are projected back
    firsts = _sum(difference, _bits(_lines(columns, np.zeros(difference.shape), z))).view(np.float32)
    points = _points(columns, firsts, z)
    directions = _sum(difference, _bits(_lines(columns, points, z))).view(np.float32)
    records = np.empty(len(columns["x"]), layout)
    for name, column in {**columns, "u": directions[0], "v": directions[1]}.items():
        records[name] = column
    return records


def _points(columns: dict[str, np.ndarray], directions: np.ndarray, z: float) -> np.ndarray:
    """Points of the target from which the directions are predicted, (2, n) [cm].

    The centre for the first particle of a history, and for the others where the first was scattered. Only
    operations that IEEE 754 rounds correctly are used, so that every processor finds the same bits.
    """
    x, y, (u, v) = columns["x"].astype(float), columns["y"].astype(float), directions.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        w = np.sqrt(1.0 - (u * u + v * v))
        origins = np.stack([x - z * u / w, y - z * v / w])
        on_target = origins[0] * origins[0] + origins[1] * origins[1] < MAX_RADIUS * MAX_RADIUS
    origins = np.where(on_target, origins, 0.0)
    first = columns["energy"] < 0
    first[:1] = True
    points = origins[:, np.maximum.accumulate(np.where(first, np.arange(len(x)), 0))]
    return np.where(first, 0.0, points)


def _lines(columns: dict[str, np.ndarray], points: np.ndarray, z: float) -> np.ndarray:
    """Direction cosines u and v of the lines from `points` to the particles, (2, n) float32."""
    along = np.stack([columns["x"].astype(float), columns["y"].astype(float)]) - points
    return (along / np.sqrt(along[0] * along[0] + along[1] * along[1] + z * z)).astype(np.float32)


def _bits(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).view(np.uint32)


def _difference(bits: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Small numbers for small differences of either sign: 0, -1, 1, -2, ... as 0, 1, 2, 3, ... (uint32)."""
    signed = (bits - guess).view(np.int32)
    return ((signed << 1) ^ (signed >> 31)).view(np.uint32)


def _sum(difference: np.ndarray, guess: np.ndarray) -> np.ndarray:
    return guess + ((difference >> 1) ^ (0 - (difference & 1)))
