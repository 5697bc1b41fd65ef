"""The report a physicist reads."""
