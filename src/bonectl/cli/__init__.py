"""The command line: it translates options into one call of an op, and speaks with the user."""
