"""Projectors of torch's operators, on any device: the same tables, the same weights; the reference."""
