"""The training loop, its saved state, processes and caches; needs torch."""

from avsynth.runtime.extras import require

require("torch", "train")
