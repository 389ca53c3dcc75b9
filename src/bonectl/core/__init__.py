"""What every part shares: values that flow, the language of parts, physics, progress, writing without a trace."""
