"""One file per part: what the detector adds."""
