"""Numbers for kernels: constants, random streams, samplers, compiler settings."""
