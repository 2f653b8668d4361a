"""The training loop, its saved state, processes and caches; needs torch."""
