"""Build audio-visual segmentation data from masks and sounds, and judge models on it."""

__version__ = "0.1.0"
