"""LZW as TIFF uses it (TIFF 6.0, section 13): codes of 9 to 12 bits, most significant bit first."""

from __future__ import annotations

import numpy as np

from phantoms.kernel_cache import njit

CLEAR, END, FIRST = 256, 257, 258
MAX_CODES = 4096  # codes of 12 bits


@njit(cache=True)
def decode_lzw(data: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Decode one strip or tile.

    Parameters
    ----------
    data : (n,) uint8
        Compressed bytes.
    size : int
        Bytes expected; what comes after them is left.

    Returns
    -------
    decoded : (size,) uint8
    count : int
        Bytes decoded: fewer than `size` where the data end early, -1 where a code is not possible.
    """
    decoded = np.zeros(size, np.uint8)
    # a string is where it was first written: its end in `decoded` and its length
    last = np.zeros(MAX_CODES, np.int64)
    length = np.ones(MAX_CODES, np.int64)
    known, bits = FIRST, 9
    count, previous_start, previous_length = 0, 0, 0
    buffer, held, place = 0, 0, 0
    while count < size:
        while held < bits:
            if place == data.size:
                return decoded, count
            buffer = ((buffer << 8) | data[place]) & 0xFFFFFF
            place += 1
            held += 8
        code = (buffer >> (held - bits)) & ((1 << bits) - 1)
        held -= bits
        if code == CLEAR:
            known, bits, previous_length = FIRST, 9, 0
            continue
        if code == END:
            return decoded, count
        start = count
        if code < CLEAR:
            decoded[count] = code
            count += 1
        elif code < known:
            # the string of this code begins where it was first written; it may reach into what is written now
            source = last[code]
            for k in range(length[code]):
                if count == size:
                    break
                decoded[count] = decoded[source + k]
                count += 1
        elif code == known and previous_length > 0:
            for k in range(previous_length + 1):
                if count == size:
                    break
                decoded[count] = decoded[previous_start + k]
                count += 1
        else:
            return decoded, -1
        if previous_length > 0:
            if known == MAX_CODES:
                return decoded, -1
            # previous string and the first byte after it: they stand beside each other already
            last[known], length[known] = previous_start, previous_length + 1
            known += 1
        previous_start, previous_length = start, count - start
        # the encoder widens its codes one early (section 13)
        if known >= 2047:
            bits = 12
        elif known >= 1023:
            bits = 11
        elif known >= 511:
            bits = 10
        else:
            bits = 9
    return decoded, count
