"""The check of a plan: comparison, verdict and record."""
