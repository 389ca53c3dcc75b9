"""Projectors compiled for CUDA by Triton; imported only where it is installed."""
