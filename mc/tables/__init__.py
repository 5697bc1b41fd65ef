"""From materials to the tables of the transport kernels; the sole reader of the cross-section data."""

from mc.tables.build import Tables, build_tables, tables_hash

__all__ = ["Tables", "build_tables", "tables_hash"]
