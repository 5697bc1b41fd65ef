"""The engine: source in, dose out."""

import os

__version__ = "0.1.0"

# Threads that have finished their part of a kernel sleep, unless the user says otherwise: libgomp lets them
# spin, which on a shared machine took a third more processor time on two threads, and more time as well. It
# reads this when it is loaded, which is before the first kernel.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
