"""Where a charged particle is, and its straight path through a geometry."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from mc.numerics.jit import njit_inlined
from mc.physics.energy_loss import energy_of, interval_of_range
from mc.transport.particle import moved, with_energy
from mc.transport.scoring import Deposit, lose, score_track

COMPLETED, CHANGED, LEFT = range(3)  # how a straight path ends


class Region(NamedTuple):
    """A cell of the geometry and what it is filled with.

    Attributes
    ----------
    cell : tuple of int
        Only the geometry reads it.
    voxel : int
        Place of the cell in the tally.
    density : float
        [g/cm3]
    material : int
    interface : bool
        Whether it is an interface or low-density voxel, in which steps must stay short.
    """

    cell: Any
    voxel: int
    density: float
    material: int
    interface: bool


def make_region(geometry: ModuleType):
    """Compile the look-up of the region of a cell."""
    index, medium = geometry.index, geometry.medium

    @njit_inlined
    def region_of(geo, cell):
        """The region of a cell."""
        voxel = index(geo, cell)
        density, material, interface = medium(geo, voxel)
        return Region(cell, voxel, density, material, interface)

    return region_of


def make_path(geometry: ModuleType):
    """Compile the straight path of a charged particle over a geometry (HOWFAR and AUSGAB of EGSnrc)."""
    boundary, cross = geometry.boundary, geometry.cross
    region_of = make_region(geometry)

    @njit_inlined
    def follow_path(ctx, particle, inverse, region, residual, thickness, deposit):
        """Move straight on over a mass thickness [g/cm2], but no farther than the medium reaches.

        Parameters
        ----------
        ctx : Context
        particle : Particle
        inverse : (float, float, float)
            Of its direction cosines, as the geometry's `inverse` gives them.
        region : Region
        residual : float
            Residual range at the start [g/cm2].
        thickness : float
        deposit : Deposit
            Lost in this voxel before.

        Returns
        -------
        how : int
            COMPLETED; CHANGED, at a face to another material, or to, from or between interface voxels; LEFT
            the geometry.
        left : float
            Of the thickness.
        particle : Particle
            Its energy is that at the last face.
        region : Region
        deposit : Deposit
            Lost up to the last face and not yet scored.
        """
        geo = ctx.geo
        iu, iv, iw = inverse
        charge, left = particle.kind - 1, thickness
        while True:
            distance, face = boundary(geo, region.cell, particle.x, particle.y, particle.z, iu, iv, iw)
            reach = distance * region.density
            if left <= reach:
                return COMPLETED, 0.0, moved(particle, left / region.density), region, deposit
            left -= reach
            particle = moved(particle, distance)
            there = residual - (thickness - left)
            after = energy_of(ctx.tables.slowing, region.material, charge, interval_of_range(there), there)
            deposit = lose(ctx, deposit, region.material, particle.energy, after)
            particle = with_energy(particle, after)
            score_track(ctx, region.voxel, deposit, particle.weight)
            deposit = Deposit(0.0, 0.0)
            cell, inside = cross(geo, region.cell, face, iu, iv, iw)
            if not inside:
                return LEFT, left, particle, region, deposit
            before, region = region, region_of(geo, cell)
            if region.material != before.material or before.interface or region.interface:
                return CHANGED, left, particle, region, deposit

    return follow_path
