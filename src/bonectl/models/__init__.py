"""One file per part: networks and untrained filters that map a noisy volume to a clean one."""
