"""Phase spaces put together, thinned out and turned, without one being written over itself."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from mc.source.phase_space import PhaseSpace
from mc.source.phase_space_tools import Selection, merge, refuse_itself, thin_out, turn
from validation.workflow import output


def merge_phase_spaces(spaces: Sequence[PhaseSpace], out: str | PathLike) -> PhaseSpace:
    """Put independent phase spaces of one beam together; `out` is the new one's path without extension.

    Parameters
    ----------
    spaces : sequence of PhaseSpace
    out : path
        Of the new one, without extension.

    Returns
    -------
    PhaseSpace
        The new one; its original histories are those of all.

    Raises
    ------
    InputError
        If they do not lie on one plane, two are the same, or the files cannot be written.
    """
    _refuse(spaces, out)
    return merge(spaces, out)


def filter_phase_space(
    space: PhaseSpace, out: str | PathLike, selection: Selection, *, all_values: bool = False
) -> PhaseSpace:
    """Keep some of the particles; doses per original history stay what they were.

    Parameters
    ----------
    space : PhaseSpace
    out : path
        Of the new one, without extension.
    selection : Selection
    all_values : bool
        Whether plane and weight are kept in every record, as some readers want it.

    Returns
    -------
    PhaseSpace
        The new one.

    Raises
    ------
    InputError
        If the files cannot be written.
    """
    _refuse([space], out)
    return thin_out(space, out, selection.keep, str(selection), all_values=all_values)


def rotate_phase_space(
    space: PhaseSpace, out: str | PathLike, *, copies: int = 1, seed: int = 1
) -> PhaseSpace:
    """Turn every particle about the axis by a random angle, in copies that share its weight.

    Parameters
    ----------
    space : PhaseSpace
        Of a beam that is symmetric about its axis.
    out : path
        Of the new one, without extension.
    copies, seed : int

    Returns
    -------
    PhaseSpace
        The new one.

    Raises
    ------
    InputError
        If the files cannot be written.
    """
    _refuse([space], out)
    return turn(space, out, copies, seed)


def _refuse(spaces: Sequence[PhaseSpace], out: str | PathLike) -> None:
    output.check_writable(Path(out).parent)
    for space in spaces:
        refuse_itself(space, out)
