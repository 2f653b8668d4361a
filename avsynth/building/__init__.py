"""Builders of triplets, samples and shards from masks and clips, and of new projects."""
