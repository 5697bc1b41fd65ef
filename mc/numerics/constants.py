"""Physical constants (CODATA 2018) in the units of the kernels: cm, MeV, g."""

from math import pi

ELECTRON_MASS = 0.51099895  # rest energy [MeV]
CLASSICAL_ELECTRON_RADIUS = 2.8179403262e-13  # [cm]
AVOGADRO = 6.02214076e23  # [1/mol]
HC = 12.398419843320026e-3  # h c [MeV Angstrom]
MEV_PER_G_TO_GY = 1.602176634e-10  # 1 MeV/g in Gy
THOMSON_FACTOR = 2.0 * pi * CLASSICAL_ELECTRON_RADIUS**2 * ELECTRON_MASS  # 2 pi r_e^2 m [MeV cm2]
