"""What the benchmarks of extraction share."""
