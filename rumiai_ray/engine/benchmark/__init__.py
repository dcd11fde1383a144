"""What only the benchmark measures with."""
