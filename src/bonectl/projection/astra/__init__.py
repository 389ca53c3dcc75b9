"""The ASTRA toolbox's projectors on CUDA: a second opinion; back is not the exact transpose of forth."""
