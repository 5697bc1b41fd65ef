"""The report a physicist reads, as HTML and PDF, and its twin for programs."""
