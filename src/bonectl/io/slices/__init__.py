"""A stack in one file per slice: which files (`series`), and what is in them (`files`)."""
