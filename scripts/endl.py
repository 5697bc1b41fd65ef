"""Reading the ENDL text files of EPICS2017 (Cullen, IAEA-NDS-224, 2018; format: UCRL-50400 vol. 1)."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

COLUMN = 16  # width of a number


class Table(NamedTuple):
    """One table of a file.

    Parameters
    ----------
    reaction, quantity : int
        ENDL's C and I numbers.
    secondary : int
        Whom the table is about: 0 nobody, 7 photons, 9 electrons.
    shell : int
        ENDL's designator of the subshell (1 K, 3 L1, 5 L2, 6 L3), 0 for the whole atom.
    columns : (m, n) float64
    """

    reaction: int
    quantity: int
    secondary: int
    shell: int
    columns: np.ndarray


def read_tables(path: Path) -> Iterator[Table]:
    """Read the tables of a gzipped ENDL file one by one."""
    with gzip.open(path, "rt") as file:
        for first in file:
            second = next(file)
            rows = []
            for line in file:
                if line.strip() == "1":  # end of table
                    break
                width = len(line.rstrip("\n"))
                rows.append([float(line[i : i + COLUMN]) for i in range(0, width, COLUMN)])
            shell = int(float(second[21:32])) if int(second[5:8]) == 91 else 0
            yield Table(int(second[:2]), int(second[2:5]), int(first[9:12]), shell, np.array(rows, float).T)


def read_atom(path: Path, wanted: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
    """Whole-atom tables of two columns, name -> (2, n), of the (reaction, quantity) asked for."""
    names = {codes: name for name, codes in wanted.items()}
    tables = {
        names[table.reaction, table.quantity]: table.columns
        for table in read_tables(path)
        if table.shell == 0 and (table.reaction, table.quantity) in names
    }
    missing = set(wanted) - set(tables)
    if missing:
        raise SystemExit(f"{path}: no table of {sorted(missing)}")
    return tables
