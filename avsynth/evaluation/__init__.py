"""Evaluation of a model over a split: the rows that every table is computed from."""

from avsynth.runtime.extras import require

require("torch", "train")
