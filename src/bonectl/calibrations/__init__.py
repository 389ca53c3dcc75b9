"""One file per part: how values become mgHA/cm³."""
