"""The sections of params.yaml, and how they are read."""
