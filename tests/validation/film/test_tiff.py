"""Scanner files: what is read is what was written, and what is broken is refused."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phantoms.errors import InputError
from tests.synthetic_film import write_tiff
from validation.film.lzw import decode_lzw
from validation.film.scan import read_scans
from validation.film.tiff import read_tiff


@pytest.fixture
def pixels() -> np.ndarray:
    y, x = np.mgrid[:83, :117]
    rng = np.random.default_rng(3)
    planes = [20000 + 9000 * np.sin(x / 9.0 + k) + 50 * y + rng.normal(0, 90, x.shape) for k in range(3)]
    return np.stack(planes, axis=-1).astype(np.uint16)


def test_pixels_and_resolution(tmp_path, pixels):
    found = read_tiff(write_tiff(tmp_path / "a.tif", pixels, dpi=150.0))
    assert (found.pixels == pixels).all()
    assert found.pitch_mm == pytest.approx((25.4 / 150, 25.4 / 150))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", None])
def test_pillow_writes_what_is_read(tmp_path, pixels, compression):
    """LZW and deflate of libtiff, an independent writer; it writes grey pictures of 16 bits only."""
    path = tmp_path / "a.tif"
    Image.fromarray(pixels[..., 0]).save(path, compression=compression, dpi=(75, 75))
    assert (read_tiff(path).pixels[..., 0] == pixels[..., 0]).all()


def test_lzw_of_noise_and_of_one_value(tmp_path):
    """Noise fills the table of codes over and over; equal pixels use a code before it is complete."""
    rng = np.random.default_rng(5)
    for values in (rng.integers(0, 65536, (300, 200)), np.full((300, 200), 517), np.zeros((1, 1))):
        path = tmp_path / "a.tif"
        Image.fromarray(values.astype(np.uint16)).save(path, compression="tiff_lzw", dpi=(75, 75))
        assert (read_tiff(path).pixels[..., 0] == values).all()


def test_an_impossible_lzw_code_is_reported():
    bits = f"{256:09b}{65:09b}{300:09b}"
    data = np.frombuffer(int(bits.ljust(32, "0"), 2).to_bytes(4, "big"), np.uint8)
    _, count = decode_lzw(data, 10)
    assert count == -1


def _tiled(path: Path, pixels: np.ndarray, predictor: bool, order: str) -> Path:
    """Deflated tiles of 32 x 48 pixels, in either byte order, with or without differences."""
    height, width, samples = pixels.shape
    rows, columns, blocks = 32, 48, []
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            block = np.zeros((rows, columns, samples), np.uint16)
            part = pixels[top : top + rows, left : left + columns]
            block[: part.shape[0], : part.shape[1]] = part
            if predictor:
                block[:, 1:] = block[:, 1:] - block[:, :-1]
            blocks.append(zlib.compress(block.astype(order + "u2").tobytes()))
    start = 8
    offsets = [start + sum(map(len, blocks[:k])) for k in range(len(blocks))]
    directory = start + sum(map(len, blocks))
    tables = struct.pack(f"{order}{len(blocks)}I", *offsets) + struct.pack(
        f"{order}{len(blocks)}I", *map(len, blocks)
    )
    tables += struct.pack(f"{order}3H", 16, 16, 16) + struct.pack(f"{order}2I", 300, 4)
    n, place = len(blocks), directory
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, place + 8 * n), (259, 3, 1, 8), (262, 3, 1, 2),
        (277, 3, 1, samples), (282, 5, 1, place + 8 * n + 6), (283, 5, 1, place + 8 * n + 6), (296, 3, 1, 3),
        (317, 3, 1, 2 if predictor else 1), (322, 3, 1, columns), (323, 3, 1, rows), (324, 4, n, place),
        (325, 4, n, place + 4 * n),
    ]  # fmt: skip
    body = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        body += struct.pack(order + "HHI", tag, kind, count)
        body += struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", directory + len(tables))
    path.write_bytes(head + b"".join(blocks) + tables + body + bytes(4))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [False, True])
def test_tiles_byte_order_predictor_and_centimetres(tmp_path, pixels, order, predictor):
    found = read_tiff(_tiled(tmp_path / "a.tif", pixels, predictor, order))
    assert (found.pixels == pixels).all()
    assert found.pitch_mm == pytest.approx((10.0 / 75, 10.0 / 75))  # 75 pixels a centimetre


def test_every_truncation_is_refused(tmp_path, pixels):
    whole = write_tiff(tmp_path / "a.tif", pixels).read_bytes()
    for length in (0, 1, 5, 9, 40, 120, 200, 400, len(whole) // 2, len(whole) - 1):
        path = tmp_path / "b.tif"
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_tiff(path)


def test_bytes_at_random_never_end_in_anything_but_a_refusal(tmp_path, pixels):
    whole = bytearray(write_tiff(tmp_path / "a.tif", pixels).read_bytes())
    rng = np.random.default_rng(11)
    for _ in range(300):
        broken = bytearray(whole)
        for place in rng.integers(0, 260, 3):  # header and directory
            broken[place] = rng.integers(0, 256)
        path = tmp_path / "b.tif"
        path.write_bytes(broken)
        try:
            read_tiff(path)
        except InputError:
            pass


def test_what_is_no_colour_scan_is_refused(tmp_path, pixels):
    grey = write_tiff(tmp_path / "grey.tif", pixels[..., :1])
    with pytest.raises(InputError, match="grey"):
        read_scans([grey])
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / "eight.tif", dpi=(75, 75))
    with pytest.raises(InputError, match="8 bits a channel"):
        read_scans([tmp_path / "eight.tif"])
    with pytest.raises(InputError, match="not a TIFF"):
        (tmp_path / "c.tif").write_bytes(b"\x89PNG and so on")
        read_scans([tmp_path / "c.tif"])
    with pytest.raises(InputError, match="cannot be read"):
        read_scans([tmp_path / "nowhere.tif"])


def test_a_missing_resolution_must_be_given(tmp_path, pixels):
    path = write_tiff(tmp_path / "a.tif", pixels, dpi=None)
    with pytest.raises(InputError, match="resolution"):
        read_scans([path])
    assert read_scans([path], dpi=72.0).pitch_mm == pytest.approx((25.4 / 72,) * 2)
    scan = read_scans([write_tiff(tmp_path / "b.tif", pixels, dpi=72.0)], dpi=150.0)  # the tag was wrong
    assert scan.file_pitch_mm == pytest.approx((25.4 / 150,) * 2)
    assert scan.warnings == ("b.tif: taken at 150 dpi, though the file states 72",)
    assert not read_scans([path], dpi=72.0).warnings


def test_scans_are_averaged_and_must_be_alike(tmp_path, pixels):
    rng = np.random.default_rng(1)
    paths = []
    for k in range(4):
        noisy = np.clip(pixels + rng.normal(0, 200, pixels.shape), 0, 65535).astype(np.uint16)
        paths.append(write_tiff(tmp_path / f"{k}.tif", noisy))
    scatter = [np.std(read_scans(paths[:n]).response * 65535.0 - pixels) for n in (1, 4)]
    assert scatter[0] / scatter[1] == pytest.approx(2.0, rel=0.02)
    with pytest.raises(InputError, match="other pixels"):
        read_scans([paths[0], write_tiff(tmp_path / "x.tif", pixels[:-1])])
    with pytest.raises(InputError, match="not scans of the same film"):
        read_scans([paths[0], write_tiff(tmp_path / "y.tif", (pixels * 0.9).astype(np.uint16))])


def test_fine_scans_are_averaged_to_coarser_pixels(tmp_path, pixels):
    scan = read_scans([write_tiff(tmp_path / "a.tif", pixels, dpi=300.0)])
    assert scan.pitch_mm == pytest.approx((4 * 25.4 / 300,) * 2)
    assert scan.response[0, 0] == pytest.approx(pixels[:4, :4].mean(axis=(0, 1)) / 65535.0)
    assert scan.box((8, 4, 16, 12), "test") == (slice(1, 3), slice(2, 4))  # in pixels of the file


def test_shared_scans(shared):
    folder = shared / "data" / "film" / "dosepy"
    scan = read_scans([folder / "film20240620_002.tif", folder / "film20240620_003.tif"])
    assert scan.shape == (682, 914)
    assert scan.pitch_mm == pytest.approx((25.4 / 75,) * 2)


def _pages(path: Path, *pictures: tuple[np.ndarray, int]) -> Path:
    """A file of several pictures, each with its NewSubfileType."""
    data, last = bytearray(b"II*\0\0\0\0\0"), 4
    for pixels, kind in pictures:
        height, width, samples = pixels.shape
        strip = len(data)
        data += pixels.astype("<u2").tobytes()
        bits, place = len(data), len(data) + 2 * samples
        data += struct.pack(f"<{samples}H", *[16] * samples)
        fields = [(254, 4, 1, kind), (256, 4, 1, width), (257, 4, 1, height), (258, 3, samples, bits)]
        fields += [(262, 3, 1, 2), (273, 4, 1, strip), (277, 3, 1, samples), (278, 4, 1, height)]
        fields += [(279, 4, 1, pixels.nbytes)]
        data += struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *f) for f in fields)
        struct.pack_into("<I", data, last, place)
        last = len(data)
        data += struct.pack("<I", 0)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("thumbnail_first", [True, False])
def test_a_thumbnail_is_passed_over(tmp_path, pixels, thumbnail_first):
    pages = [(pixels[::8, ::8], 1), (pixels, 0)]
    path = _pages(tmp_path / "a.tif", *(pages if thumbnail_first else pages[::-1]))
    assert (read_tiff(path).pixels == pixels).all()


def test_several_pictures_are_all_named(tmp_path, pixels):
    path = _pages(tmp_path / "a.tif", (pixels[::8, ::8], 0), (pixels, 0))
    with pytest.raises(InputError, match=r"holds 2 pictures \(15 x 11, 117 x 83 pixels\).*save the one"):
        read_tiff(path)
    looped = bytearray(_pages(path, (pixels, 0)).read_bytes())
    looped[-4:] = looped[4:8]  # the next picture is the first
    path.write_bytes(looped)
    assert (read_tiff(path).pixels == pixels).all()


def test_a_small_file_of_a_huge_picture_is_refused(tmp_path):
    """190 kB of deflated zeros that would take gigabytes."""
    path = tmp_path / "a.tif"
    height, width = 16_000, 2_000
    packed = zlib.compress(bytes(2 * 3 * height * width), 9)
    fields = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 8), (262, 3, 1, 2)]
    fields += [(273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(packed))]
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *f) for f in fields)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + bytes(4))
    with pytest.raises(InputError, match="no scan of a film is so empty"):
        read_tiff(path)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match="is a pipe or device"):
        read_tiff(tmp_path / "a.tif")
