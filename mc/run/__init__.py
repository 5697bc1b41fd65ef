"""Running: batches, their statistics, ranks, checkpoints and signals."""
