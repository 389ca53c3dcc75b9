"""What networks are made of around their layers: samples, tiles, critics, checkpoints, devices."""
