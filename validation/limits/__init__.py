"""Limits: profiles of tolerances and clinical dose constraints."""
