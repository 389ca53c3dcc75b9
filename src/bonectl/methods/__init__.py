"""One file per part: reconstruction, from a scan to a volume."""
