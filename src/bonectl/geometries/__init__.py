"""One file per part: scanner layouts."""
