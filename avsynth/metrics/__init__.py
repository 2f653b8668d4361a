"""Scores of predictions, from frames to intervals."""
