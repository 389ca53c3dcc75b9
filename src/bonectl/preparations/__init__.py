"""What is done to readings before they are reconstructed: one file, one part.

A part takes what is known of a scan beforehand (`bonectl.core.preparation.Setting`) and gives what it will do
(`bonectl.core.preparation.Step`): the header of its result, and a function of one plane, a projection (row, col) or a
sinogram (view, col). All that can be refused is refused then, before a reading arrives.
"""
