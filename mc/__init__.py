"""The engine: source in, dose out."""

__version__ = "0.1.0"
