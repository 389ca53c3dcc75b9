"""One file per part: the volume of interest (TV) that follows from the data."""
