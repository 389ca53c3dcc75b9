"""Ways to turn attenuation or grey values into mineral density: one file, one part.

A part returns a `bonectl.core.calibration.Calibration`. Beside it, `READS` names the units of the stacks its law
may be applied to. What flows in is named: `values` are the voxels, for a part that derives its law from them, `unit`
is theirs.
"""
