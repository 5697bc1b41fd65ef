"""One process per file, pure scalar functions compiled into the transport kernels."""
