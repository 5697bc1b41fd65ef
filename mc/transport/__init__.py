"""How particles move, deposit energy and make secondaries."""
