"""Projectors compiled for the CPU by numba: functions of a file take tables and arrays."""
