"""What every part shares: values that flow, the spec language, the projector and its kernels."""
