"""Radiochromic film: from a 16-bit RGB scan over dose to its comparison with a plane of a dose."""
