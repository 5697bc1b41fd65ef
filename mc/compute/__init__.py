"""From an input to its dose: plans, simple beams, calibrations, heads."""
