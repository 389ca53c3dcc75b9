"""One file per part: file and stream formats."""
