"""The engine held against published or independent results: one folder a case, run by `mcverify validate`."""
