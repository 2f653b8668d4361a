"""FiftyOne on shards, tables and scores; imported by `avsynth inspect` only."""
