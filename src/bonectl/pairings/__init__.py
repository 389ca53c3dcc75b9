"""One file per part: how a training pair (input, target) is made."""
