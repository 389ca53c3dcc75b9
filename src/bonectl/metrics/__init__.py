"""One file per part: one number, or a small family of numbers, of a bone volume."""
