"""Let the tests import segment_anything, which imports torchvision."""

from avsynth.cpu_wheels import ensure_importable

ensure_importable()
