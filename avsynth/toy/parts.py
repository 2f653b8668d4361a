"""`Part`: polygons in -1..1 coordinates that shapes are composed of; x to the right, y down."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
_ROUND = 18  # corners of an ellipse


@dataclass(frozen=True, slots=True)
class Part:
    """One polygon, float64 ``[N, 2]``, and the name of its tint, e.g. body, dark or light."""

    points: Points
    tint: str = "body"
    inner: bool = False
    """Whether it lies completely inside other parts, so that the outline omits it."""


def oval(
    x: float,
    y: float,
    rx: float,
    ry: float,
    tint: str = "body",
    lean: float = 0,
    inner: bool = False,
) -> Part:
    """Return an ellipse with centre (x, y), rotated clockwise by ``lean`` radians."""
    turn = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
    across, down = rx * np.cos(turn), ry * np.sin(turn)
    cos, sin = np.cos(lean), np.sin(lean)
    points = np.stack([x + across * cos - down * sin, y + across * sin + down * cos], axis=1)
    return Part(points, tint, inner)


def box(
    x0: float, y0: float, x1: float, y1: float, tint: str = "body", inner: bool = False
) -> Part:
    """Return an axis-aligned rectangle."""
    return Part(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float), tint, inner)


def poly(*corners: tuple[float, float], tint: str = "body", inner: bool = False) -> Part:
    """Return a polygon with these corners."""
    return Part(np.array(corners, float), tint, inner)


def stroke(width: float, *path: tuple[float, float], tint: str = "body") -> Part:
    """Return a band of this width along a path."""
    line = np.array(path, float)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    return Part(np.concatenate([line + side, (line - side)[::-1]]), tint)


def star(x: float, y: float, outer: float, inner_radius: float, spikes: int, tint: str) -> Part:
    """Return a star: a lion's mane, a rotor's disc."""
    turn = np.linspace(0, 2 * np.pi, 2 * spikes, endpoint=False)
    radius = np.where(np.arange(2 * spikes) % 2, inner_radius, outer)
    return Part(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1), tint)
