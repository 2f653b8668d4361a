"""From masks and clips to triplets, samples and shards; new projects."""
