"""One file per part: how the bone mask is cut from a volume."""
