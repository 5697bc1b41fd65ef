"""The verdict: dose against plan, film and water tank; the engine against its references."""
