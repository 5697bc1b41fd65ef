"""The engine held against published or independent results, as `mcverify validate` runs it."""
