"""Between a detector and a volume: line integrals, the rotation axis, memory and time of a reconstruction."""
