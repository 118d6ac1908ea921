"""What the benchmarks share: the machine and its limits, timing, memory, data of Amazon Baby's shape, tables."""
