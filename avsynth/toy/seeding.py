"""Fake ids of videos and images, each a hash of the seed and the names."""

import base64
import hashlib


def video_id(seed: int, *names: object) -> str:
    """Return a fake video id in YouTube's format: 11 characters of base64url."""
    text = "\x1f".join(str(part) for part in ("video", seed, *names))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())[:11].decode()


def hex_id(seed: int, *names: object) -> str:
    """Return a fake image id in Open Images' format: 16 hexadecimal digits."""
    text = "\x1f".join(str(part) for part in ("picture", seed, *names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
