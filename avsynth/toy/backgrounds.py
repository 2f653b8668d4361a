"""Image backgrounds of two styles, with shapes of no category as clutter."""

import colorsys
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Style = Literal["drawn", "photo"]
Field = NDArray[np.float32]


def draw_background(height: int, width: int, style: Style, rng: np.random.Generator) -> Field:
    """Draw a background, float32 ``[height, width, 3]``, RGB, 0..255."""
    background = _pattern(height, width, rng) if style == "drawn" else _horizon(height, width, rng)
    image = Image.fromarray(background.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 6))):  # clutter: not annotated, no audio
        _draw_clutter(draw, height, width, style, rng)
    if style == "photo":
        image = image.filter(ImageFilter.BoxBlur(1.5))
    return np.asarray(image, np.float32)


def _draw_clutter(
    draw: ImageDraw.ImageDraw, height: int, width: int, style: Style, rng: np.random.Generator
) -> None:
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    rx, ry = rng.uniform(0.03, 0.16, 2) * min(height, width)
    hue, saturation, value = rng.uniform(), rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.9)
    if style == "photo":
        saturation *= 0.5
    red, green, blue = (int(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value))
    fill = (red, green, blue)
    kind = rng.integers(3)
    if kind == 0:
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
    elif kind == 1:
        draw.rectangle((x - rx, y - ry, x + rx, y + ry), fill=fill)
    else:
        draw.polygon([(x, y - ry), (x + rx, y + ry), (x - rx, y + 0.4 * ry)], fill=fill)


def _pattern(height: int, width: int, rng: np.random.Generator) -> Field:
    """Draw colour patches with stripes or tiles over them."""
    cells = rng.integers(2, 6, 2)
    base = np.array(
        colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.05, 0.3), rng.uniform(0.55, 0.95))
    )
    shades = rng.uniform(-25, 25, (*cells, 1)) + rng.uniform(-12, 12, (*cells, 3))
    patches = (base * 255 + shades).clip(0, 255).astype(np.uint8)
    how = Image.Resampling.NEAREST if rng.integers(2) else Image.Resampling.BICUBIC
    background = np.asarray(Image.fromarray(patches).resize((width, height), how), np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, step = rng.uniform(0, np.pi), rng.uniform(8, 26)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / step))
    if rng.integers(2):
        wave = wave * np.sin((y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / step))
    lines = (rng.uniform(3, 12) * np.sign(wave)[:, :, None]).astype(np.float32)
    return np.asarray(background + lines, np.float32)


def _horizon(height: int, width: int, rng: np.random.Generator) -> Field:
    """Draw sky over land, both with uneven brightness."""
    line = int(height * rng.uniform(0.25, 0.6))
    sky = np.array(colorsys.hsv_to_rgb(rng.uniform(0.5, 0.7), rng.uniform(0.05, 0.35), 0.85)) * 255
    land = np.array(colorsys.hsv_to_rgb(rng.uniform(0.05, 0.4), rng.uniform(0.15, 0.5), 0.5)) * 255
    ramp = np.linspace(0.8, 1.15, height, dtype=np.float32)[:, None, None]
    background = (
        np.where(np.arange(height)[:, None, None] < line, sky, land).astype(np.float32) * ramp
    )
    rough = rng.uniform(-1, 1, (14, 14)).astype(np.float32)
    uneven = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(background + 22 * np.asarray(uneven, np.float32)[:, :, None])
