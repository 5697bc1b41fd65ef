"""Commissioning: measured scans of a machine against Monte Carlo, and tuning of its source."""
