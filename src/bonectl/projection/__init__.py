"""Forward and back-projection: Fourier-slice, strip and Joseph models of parallel, fan and cone beams."""
