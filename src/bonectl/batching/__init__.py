"""Many scans by one pipeline: what is to run, where it runs, what was kept, and what came out."""
