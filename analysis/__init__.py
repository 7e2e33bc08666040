"""Statistics of latents and order parameters: arrays in, typed results with error bars out, no files."""
