"""Where a particle is: voxels, and analytic solids."""
