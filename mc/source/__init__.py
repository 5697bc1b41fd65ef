"""Where particles come from."""
