"""What bone numbers are made of: binary cells, distances, thickness, intercepts, components, tables of counts."""
