"""Processors that run the transport: one signature, several machines."""
