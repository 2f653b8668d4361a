"""A patch with which tests can import segment_anything, which imports torchvision."""

from avsynth.runtime.torchvision_compat import ensure_importable

ensure_importable()
