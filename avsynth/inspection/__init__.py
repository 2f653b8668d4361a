"""Look at a dataset: gallery, statistics, single samples, FiftyOne."""
