"""A stack in another form, and its meaning kept: order, extent, sampling, type."""
