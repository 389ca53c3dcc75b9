"""Objects to scan whose answers are known: one file, one part.

A part takes a `Grid`: voxels along (z, y, x), the side of a voxel [mm], and the number that all draws are keyed by.
It returns a stack of mineral density [mgHA/cm³] in which marrow is 0, with what is known about it under `answers` in
its header. Voxels at a surface hold the share of the object in them, as a scanner would see it.
"""
