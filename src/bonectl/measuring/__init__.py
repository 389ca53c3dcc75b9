"""From a volume to a table of bone numbers: the request, the specimens, intervals, memory, pictures."""
