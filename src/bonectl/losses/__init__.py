"""One file per part: how an estimate is scored against its target."""
