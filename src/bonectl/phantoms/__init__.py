"""One file per part: objects to scan, with known answers."""
