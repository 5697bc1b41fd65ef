"""The linac: machine files, collimators and head."""
