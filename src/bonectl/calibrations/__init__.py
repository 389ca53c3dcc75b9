"""Ways to turn attenuation or grey values into mineral density: one file, one part.

A part returns a `bonectl.core.calibration.Calibration`. Beside it, `READS` names the units of the stacks its law
may be applied to. A part with a positional parameter derives its law from the voxels and gets them there.
"""
