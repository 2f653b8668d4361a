"""Bytes to arrays and back: audio, masks, images, shards."""
