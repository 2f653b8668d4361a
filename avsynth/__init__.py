"""A builder of audio-visual segmentation data from masks and clips, and a benchmark of models."""

__version__ = "0.1.0"
