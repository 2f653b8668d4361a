"""FiftyOne on shards, tables and scores; nothing here is imported unless someone looks."""
