"""Limits: profiles of tolerances and clinical dose constraints."""

DEFAULT = "spine"  # the profile that limits are taken from where none is named
