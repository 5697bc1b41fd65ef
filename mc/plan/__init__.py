"""The plan: beams of an RTPLAN, their position in the patient, and what moves while they irradiate."""
