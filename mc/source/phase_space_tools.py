"""Phase spaces merged, filtered and rotated, chunk by chunk; and the latent sigma of their histories.

What is written keeps ORIG_HISTORIES: doses per original history do not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mc.source.iaea_header import KINDS
from mc.source.particles import Particles, across
from mc.source.phase_space import PhaseSpace
from mc.source.phase_space_writer import PhaseSpaceWriter
from phantoms.errors import InputError

SQUARE = 1.5  # side of the square about the axis in which the latent sigma is stated [cm]


@dataclass(frozen=True)
class LatentSigma:
    """Relative sigma that the finite number of original histories leaves, in a square about the axis.

    Parameters
    ----------
    fluence, energy_fluence : float
        Of photons.
    particles : float
        Photons a contributing history sends there, on average.
    """

    fluence: float
    energy_fluence: float
    particles: float


def latent_sigma(space: PhaseSpace, plane_z: float, square: float = SQUARE) -> LatentSigma:
    """Latent sigma of the photon fluence in a square about the axis on a plane.

    By original history (Walters, Kawrakow and Rogers, Med. Phys. 29 (2002) 2745): the variance of a sum over
    N histories of s_i each is sum s_i^2 - (sum s_i)^2/N. Mirror images and turned copies lower it further.

    Parameters
    ----------
    space : PhaseSpace
    plane_z : float
        Height of the plane, to which photons travel straight [cm].
    square : float
        Side of the square about the axis [cm].

    Returns
    -------
    LatentSigma
        Infinite if no photon crosses the square.

    Raises
    ------
    InputError
        If the file was changed since it was opened.
    """
    sums, squares, photons, contributing = np.zeros(2), np.zeros(2), 0, 0
    tail = np.zeros(3)  # of the history that a chunk may leave open
    for p in space.chunks():
        x, y = across(p, plane_z)
        inside = (p.kind == 1) & (np.abs(x) < 0.5 * square) & (np.abs(y) < 0.5 * square)
        history = np.cumsum(p.new_history)
        scores = np.stack([p.weight * inside, p.weight * p.energy * inside, inside])
        per_history = np.stack([np.bincount(history, row, minlength=history[-1] + 1) for row in scores])
        per_history[:, 0] += tail
        closed, tail = per_history[:, :-1], per_history[:, -1]
        sums += closed[:2].sum(axis=1)
        squares += (closed[:2] ** 2).sum(axis=1)
        photons += int(closed[2].sum())
        contributing += np.count_nonzero(closed[2])
    sums, squares = sums + tail[:2], squares + tail[:2] ** 2
    photons, contributing = photons + int(tail[2]), contributing + int(tail[2] > 0)
    if photons == 0:
        return LatentSigma(np.inf, np.inf, 0.0)
    variance = squares / sums**2 - 1.0 / space.header.orig_histories
    fluence, energy_fluence = np.sqrt(np.maximum(variance, 0.0))
    return LatentSigma(float(fluence), float(energy_fluence), photons / contributing)


@dataclass(frozen=True)
class Selection:
    """Which particles are kept.

    Parameters
    ----------
    kinds : tuple of {'photon', 'electron', 'positron'}
    above_mev, below_mev : float
        Kinetic energies from the first up to the second [MeV].
    radius_cm : float or None
        Within which they cross a plane, travelling straight on.
    plane_z_cm : float
        Height of that plane.
    """

    kinds: tuple[str, ...] = KINDS
    above_mev: float = 0.0
    below_mev: float = math.inf
    radius_cm: float | None = None
    plane_z_cm: float = 100.0

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(f"particles of kind {kind!r}", "are not known", f"one of {', '.join(KINDS)}")

    def keep(self, particles: Particles) -> np.ndarray:
        """Which of the particles are kept, (n,) bool."""
        codes = [KINDS.index(kind) + 1 for kind in self.kinds]
        energy = particles.energy
        kept = np.isin(particles.kind, codes) & (energy >= self.above_mev) & (energy < self.below_mev)
        if self.radius_cm is not None:
            kept &= np.hypot(*across(particles, self.plane_z_cm)) < self.radius_cm
        return kept

    def __str__(self) -> str:
        text = f"kept: {', '.join(self.kinds)} of {self.above_mev:g} to {self.below_mev:g} MeV"
        if self.radius_cm is not None:
            text += f" that pass within {self.radius_cm:g} cm of the axis at z = {self.plane_z_cm:g} cm"
        return text


def refuse_itself(space: PhaseSpace, stem: str | Path) -> None:
    """Refuse to write a phase space over the one it is made of.

    Raises
    ------
    InputError
        If `stem` is that of `space`.
    """
    if Path(stem).resolve() == space.header_path.resolve().with_suffix(""):
        raise InputError("--out", f"is the phase space {space.data_path.name} itself", "name another one")


def merge(spaces: Sequence[PhaseSpace], stem: str | Path) -> PhaseSpace:
    """Concatenate independent phase spaces of one beam; their original histories add up.

    Raises
    ------
    InputError
        If they do not lie on one plane, or two of them are the same.
    """
    first = spaces[0]
    seen: dict[str, PhaseSpace] = {}
    for space in spaces:
        twin = seen.get(space.sha256)
        if twin is not None:
            raise InputError(
                space.data_path, f"is the same as {twin.data_path}", "histories may not count twice"
            )
        if space.header.constants.get("z") != first.header.constants.get("z"):
            raise InputError(space.data_path, f"lies on another plane than {first.data_path}")
        seen[space.sha256] = space
    constants = {
        name: value
        for name, value in first.header.constants.items()
        if name != "w" and all(space.header.constants.get(name) == value for space in spaces)
    }
    info = dict(first.header.info)
    names = ", ".join(space.data_path.name for space in spaces)
    info["ADDITIONAL_NOTES"] = f"merged from {names}\n{info.get('ADDITIONAL_NOTES', '')}"
    with PhaseSpaceWriter(stem, constants, info) as writer:
        for space in spaces:
            for particles in space.chunks():
                writer.append(particles)
        return writer.close(sum(space.header.orig_histories for space in spaces))


def thin_out(
    space: PhaseSpace,
    stem: str | Path,
    keep: Callable[[Particles], np.ndarray],
    note: str,
    *,
    all_values: bool = False,
) -> PhaseSpace:
    """Keep the particles for which `keep` is true; the new-history flag passes to the first one kept.

    `note` says in the header what was kept. With `all_values` no quantity is a constant of the header, as
    some readers want it.
    """
    pending = False  # a history whose first particles were dropped has not been opened yet
    constants = {} if all_values else _constants(space)
    with PhaseSpaceWriter(stem, constants, _with_note(space, note)) as writer:
        for particles in space.chunks():
            kept = np.flatnonzero(keep(particles))
            opened = np.cumsum(particles.new_history)
            number = opened[kept]
            new = np.diff(number, prepend=0) > 0
            if len(kept) and number[0] == 0:
                new[0] = pending
            if opened[-1] > 0:
                pending = not (len(kept) and number[-1] == opened[-1])
            elif len(kept):
                pending = False
            writer.append(Particles(*(column[kept] for column in particles))._replace(new_history=new))
        return writer.close(space.header.orig_histories)


def turn(space: PhaseSpace, stem: str | Path, copies: int = 1, seed: int = 1) -> PhaseSpace:
    """Rotate every particle about the axis by a random angle of its own, in one or more copies.

    For heads that are symmetric about the axis, above the jaws: no mean changes then, and the latent noise
    of the histories is averaged around the axis. Copies share the weight and stay with their history.
    """
    rng = np.random.default_rng(seed)
    constants = _constants(space)
    if "weight" in constants:
        constants["weight"] = float(np.float32(constants["weight"] / copies))
    note = f"every particle turned about the axis by random angles, {copies} copies, seed {seed}"
    with PhaseSpaceWriter(stem, constants, _with_note(space, note)) as writer:
        for p in space.chunks():
            p = Particles(*(np.repeat(column, copies) for column in p))
            angle = rng.uniform(0.0, 2.0 * np.pi, len(p.kind))
            c, s = np.cos(angle), np.sin(angle)
            weight = constants.get("weight", p.weight / copies)
            writer.append(
                p._replace(
                    x=c * p.x - s * p.y,
                    y=s * p.x + c * p.y,
                    u=c * p.u - s * p.v,
                    v=s * p.u + c * p.v,
                    weight=np.broadcast_to(weight, len(p.kind)),
                    new_history=p.new_history & (np.arange(len(p.kind)) % copies == 0),
                )
            )
        return writer.close(space.header.orig_histories)


def _constants(space: PhaseSpace) -> dict[str, float]:
    """Constants that stay so: the plane and a common weight."""
    return {name: space.header.constants[name] for name in ("z", "weight") if name in space.header.constants}


def _with_note(space: PhaseSpace, note: str) -> dict[str, str]:
    """Header blocks of a phase space made from another."""
    info = dict(space.header.info)
    info["ADDITIONAL_NOTES"] = f"{note}; from {space.data_path.name}\n{info.get('ADDITIONAL_NOTES', '')}"
    return info
