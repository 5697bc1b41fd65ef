"""The engine: source in, dose out."""
