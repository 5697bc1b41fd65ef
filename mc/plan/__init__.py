"""The plan: beams of an RTPLAN, where they stand in the patient, what moves while they irradiate."""
