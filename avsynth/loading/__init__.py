"""Loading of batches from shards; needs torch."""

from avsynth.runtime.extras import require

require("torch", "train")
