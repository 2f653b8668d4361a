"""Inspection of datasets: gallery page, statistics, single samples, FiftyOne."""
