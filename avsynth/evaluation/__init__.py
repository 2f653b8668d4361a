"""Run a model over a split, and write the rows that every table is made of."""

from avsynth.runtime.extras import require

require("torch", "train")
