"""Every random choice of the toy world comes from a generator named by what it decides."""

import base64
import hashlib

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return a generator that depends on the seed and on the names alone.

    Because each picture and each clip has its own, adding one changes no other, and any
    number of workers draws the same world.
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def video_id(seed: int, *names: object) -> str:
    """Return a made-up video id in the shape of YouTube's: 11 characters of base64url."""
    text = "\x1f".join(str(part) for part in ("video", seed, *names))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())[:11].decode()


def hex_id(seed: int, *names: object) -> str:
    """Return a made-up picture id in the shape of Open Images': 16 hexadecimal digits."""
    text = "\x1f".join(str(part) for part in ("picture", seed, *names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
