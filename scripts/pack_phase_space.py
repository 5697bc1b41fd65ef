"""Pack an IAEA phase space scored on one plane as the project ships it. For maintainers, from the checkout.

    python scripts/pack_phase_space.py FOLDER/NAME

writes FOLDER/NAME.IAEAphsp.npz, which with FOLDER/NAME.IAEAheader stands for FOLDER/NAME.IAEAphsp: see
`mc.source.packed_phase_space`.
"""

from __future__ import annotations

import argparse

from mc.source.packed_phase_space import PACKED, pack
from mc.source.phase_space import open_phase_space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", metavar="FOLDER/NAME")
    space = open_phase_space(parser.parse_args().path)
    path = space.header_path.with_name(space.data_path.name + PACKED)
    pack(space.records(0, len(space)), space.header.constants["z"], path)
    print(f"{path}: {path.stat().st_size / space.header.checksum:.0%} of {space.data_path.name}")


if __name__ == "__main__":
    main()
