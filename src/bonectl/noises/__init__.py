"""What a detector adds to the mean: one file, one part.

A part takes the mean counts [photons], any shape, and a random generator, and returns its deviation from the
mean in the same shape. Deviations of several parts add up, and weights scale them: ``poisson + electronic(sd=5)``.
"""
