"""Records, paths, tables, files, hashing, the funnel and the parameters."""
