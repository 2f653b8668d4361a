"""Seeded random generators and ids of the toy world, one per image, clip or list entry."""

import base64
import hashlib

import numpy as np


def make_rng(seed: int, *names: object) -> np.random.Generator:
    """Return a random generator that depends only on the seed and the names.

    Each image and each clip has its own generator. Therefore adding one does not change others,
    and the output does not depend on the number of workers.
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def video_id(seed: int, *names: object) -> str:
    """Return a fake video id in YouTube's format: 11 characters of base64url."""
    text = "\x1f".join(str(part) for part in ("video", seed, *names))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())[:11].decode()


def hex_id(seed: int, *names: object) -> str:
    """Return a fake image id in Open Images' format: 16 hexadecimal digits."""
    text = "\x1f".join(str(part) for part in ("picture", seed, *names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
