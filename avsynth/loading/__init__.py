"""Loading of batches from shards; needs torch."""
