"""Backbones: SAM, its image encoder, VGGish, and their weights."""
