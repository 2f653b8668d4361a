"""Scenes: where things stand in a picture, how it is painted, and the mask of each thing.

Two styles keep two worlds apart. ``drawn`` (LVIS, Open Images, COCO): flat saturated colours with
outlines on patterned ground. ``filmed`` (AVSBench): muted colours lit from one side, soft shadows,
horizon, blur, vignette, colour cast and grain. Outlines of things are the same in both, so the gap
between the worlds can be bridged.
"""

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from pycocotools import mask as coco_mask

from avsynth.toy.backgrounds import Field, Style, make_ground
from avsynth.toy.parts import Part, Points
from avsynth.toy.shapes import FIGURES, HABITS, TURNS

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
_COARSE = {"drawn": 1, "filmed": 2}  # a filmed picture has half the resolution it is stored at
_FINE = 2  # the pen works at twice the resolution, then averages: smooth edges
_ODD_COLOURS = 0.1  # share of things in any colour instead of their category's habit
_INK, _WHITE, _GLASS = (28, 26, 30), (240, 238, 230), (140, 190, 225)


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: what it is, where it stands (pixels, radians) and its own look."""

    name: str
    x_px: float
    y_px: float
    size_px: float
    """Half the side of its square."""
    turn_rad: float
    mirrored: bool
    stretch: float
    """Height over width."""
    tints: dict[str, tuple[int, int, int]]
    texture: int
    """0 plain, 1 stripes, 2 spots, 3 blotches."""
    pitch: float
    """Phase and scale of the texture."""

    def moved(self, dx_px: float, dy_px: float, turn_rad: float) -> "Thing":
        """Return the same thing elsewhere: the next frame of a clip."""
        return replace(
            self, x_px=self.x_px + dx_px, y_px=self.y_px + dy_px, turn_rad=self.turn_rad + turn_rad
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """A ground and the things on it, the nearest last."""

    height_px: int
    width_px: int
    ground: Field
    """float32 ``[h, w, 3]``, 0..255, at the style's own resolution."""
    things: tuple[Thing, ...]
    style: Style


@dataclass(frozen=True, slots=True)
class Cutout:
    """What an annotator would draw around one thing."""

    name: str
    mask: Mask
    """The visible pixels, bool ``[H, W]``."""
    polygons: tuple[Points, ...]
    """The outline in pixels; exact only when ``whole``."""
    whole: bool
    """Whether nothing covers the thing and no edge cuts it."""


def stage(
    names: tuple[str, ...], height_px: int, width_px: int, style: Style, rng: np.random.Generator
) -> Scene:
    """Place one thing of each name on fresh ground.

    Args:
        names: what to show, a name may come twice.
        height_px: height of the picture.
        width_px: width of the picture.
        style: ``drawn`` or ``filmed``.
        rng: decides everything.
    """
    coarse = _COARSE[style]
    ground = make_ground(height_px // coarse, width_px // coarse, style, rng)
    spots: list[tuple[float, float, float]] = []
    for _ in names:
        spots.append(_free_spot(spots, height_px, width_px, rng))
    things = tuple(_thing(name, *spot, style, rng) for name, spot in zip(names, spots, strict=True))
    return Scene(height_px, width_px, ground, things, style)


def paint(scene: Scene, rng: np.random.Generator) -> tuple[Pixels, list[Cutout]]:
    """Paint a scene.

    Args:
        scene: what to show.
        rng: decides the grain of a filmed picture.

    Returns:
        uint8 ``[H, W, 3]`` RGB, and one cutout per thing in the order of the scene.
    """
    coarse = _COARSE[scene.style]
    outlines = [_placed(thing) for thing in scene.things]
    full = [
        _raster([p.points for p in parts if not p.inner], scene.height_px, scene.width_px)
        for parts in outlines
    ]
    canvas = scene.ground.copy()
    if scene.style == "filmed":
        _cast_shadows(canvas, [mask[::coarse, ::coarse] for mask in full], scene.things)
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    image = image.resize((image.width * _FINE, image.height * _FINE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)
    for thing, parts in zip(scene.things, outlines, strict=True):
        for part in parts:
            _draw(pen, part, thing, _FINE / coarse, outlined=scene.style == "drawn")
    pixels = np.asarray(image.reduce(_FINE), np.float32).copy()
    cutouts = _cutouts(scene.things, outlines, full)
    for thing, cutout in zip(scene.things, cutouts, strict=True):
        _texture(pixels, thing, cutout.mask[::coarse, ::coarse], scene.style)
    if scene.style == "filmed":
        pixels = _film(pixels, rng)
    seen = pixels.clip(0, 255).astype(np.uint8)
    return seen.repeat(coarse, 0).repeat(coarse, 1), cutouts


def _cutouts(
    things: tuple[Thing, ...], outlines: list[list[Part]], full: list[Mask]
) -> list[Cutout]:
    height, width = full[0].shape
    covered = np.zeros((height, width), bool)
    found: list[Cutout] = []
    for thing, parts, mask in reversed(list(zip(things, outlines, full, strict=True))):
        points = tuple(p.points for p in parts if not p.inner)
        corners = np.concatenate(points)
        inside = bool((corners >= 0).all() and (corners <= (width, height)).all())
        whole = inside and not bool((mask & covered).any())
        found.append(Cutout(thing.name, mask & ~covered, points, whole))
        covered |= mask
    return found[::-1]


def _free_spot(
    taken: list[tuple[float, float, float]], height: int, width: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Find a place that overlaps others little: the best of a handful of tries."""
    side = min(height, width)
    best, least = (width / 2, height / 2, side / 5), np.inf
    for attempt in range(14):
        size = side * rng.uniform(0.2, 0.33) * (1 - 0.02 * attempt)
        margin = size * rng.choice([0.9, 1.05])  # now and then an edge cuts a thing
        x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
        overlap = sum(
            max(0.0, (size + s) - abs(x - a)) * max(0.0, (size + s) - abs(y - b))
            for a, b, s in taken
        )
        if overlap / size**2 < least:
            best, least = (x, y, size), overlap / size**2
        if least < 0.15:
            break
    return best


def _thing(
    name: str, x: float, y: float, size: float, style: Style, rng: np.random.Generator
) -> Thing:
    hue, saturation, value = HABITS[name]
    if rng.uniform() < _ODD_COLOURS:
        hue, saturation, value = rng.uniform(), rng.uniform(0.3, 0.9), rng.uniform(0.5, 0.9)
    hue = (hue + rng.normal(0, 0.03)) % 1
    saturation = float(np.clip(saturation + rng.uniform(-0.12, 0.12), 0, 1))
    value = float(np.clip(value + rng.uniform(-0.12, 0.12), 0.15, 1))
    if style == "filmed":
        saturation, value = 0.6 * saturation, 0.85 * value
    body = np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255
    other = (hue + rng.uniform(0.3, 0.7)) % 1
    accent = np.array(colorsys.hsv_to_rgb(other, max(saturation, 0.3), 0.9)) * 255
    shades = {
        "body": body, "dark": body * 0.62, "light": body * 0.45 + 125, "accent": accent,
        "ink": np.array(_INK), "white": np.array(_WHITE), "glass": np.array(_GLASS),
    }  # fmt: skip
    limit = TURNS.get(name, 0.15)
    return Thing(
        name, x, y, size,
        turn_rad=rng.uniform(-limit, limit),
        mirrored=bool(rng.integers(2)),
        stretch=rng.uniform(0.88, 1.12),
        tints={key: (int(c[0]), int(c[1]), int(c[2])) for key, c in shades.items()},
        texture=int(rng.integers(4)),
        pitch=rng.uniform(0.5, 1.5),
    )  # fmt: skip


def _placed(thing: Thing) -> list[Part]:
    """Return the parts of a thing in picture pixels, to the hundredth as annotations have it."""
    cos, sin = np.cos(thing.turn_rad), np.sin(thing.turn_rad)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [-1.0 if thing.mirrored else 1.0, thing.stretch]
    )
    matrix = matrix * thing.size_px
    centre = np.array([thing.x_px, thing.y_px])
    return [
        replace(part, points=np.round(part.points @ matrix.T + centre, 2))
        for part in FIGURES[thing.name]
    ]


def _raster(polygons: list[Points], height: int, width: int) -> Mask:
    flat = [np.clip(p, -1, max(height, width) + 1).ravel().tolist() for p in polygons]
    runs = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
    return np.asarray(coco_mask.decode(runs), bool)


def _draw(
    pen: ImageDraw.ImageDraw, part: Part, thing: Thing, fine: float, *, outlined: bool
) -> None:
    corners = [(x, y) for x, y in (part.points * fine - 0.5).tolist()]
    tint = thing.tints[part.tint]
    edge = (tint[0] // 3, tint[1] // 3, tint[2] // 3) if outlined and not part.inner else None
    pen.polygon(corners, fill=tint, outline=edge, width=2 if edge else 1)


def _texture(pixels: Field, thing: Thing, mask: Mask, style: Style) -> None:
    """Tint the pixels of one thing in place: a pattern, and light from above when filmed."""
    ys, xs = np.nonzero(mask)
    if not len(ys):
        return
    coarse = np.float32(_COARSE[style])
    u = (coarse * xs - np.float32(thing.x_px)) / np.float32(thing.size_px)
    v = (coarse * ys - np.float32(thing.y_px)) / np.float32(thing.size_px)
    turns = 9 * thing.pitch
    if thing.texture == 1:
        shade = 1 + 0.16 * np.sign(np.sin(turns * (u + 0.6 * v)))
    elif thing.texture == 2:
        shade = 1 - 0.28 * ((np.sin(turns * u) * np.sin(turns * v)) > 0.45)
    elif thing.texture == 3:
        shade = 1 + 0.14 * np.sin(5 * thing.pitch * u + 3 * v) * np.cos(4 * v - 2 * u)
    else:
        shade = np.ones(len(u))
    if style == "filmed":
        shade = shade * (1.05 - 0.32 * v + 0.15 * u)
    pixels[ys, xs] *= shade[:, None].astype(np.float32)


def _cast_shadows(canvas: Field, masks: list[Mask], things: tuple[Thing, ...]) -> None:
    shadow = np.zeros(canvas.shape[:2], bool)
    for mask, thing in zip(masks, things, strict=True):
        shift = max(1, int(thing.size_px * 0.07))
        shadow |= np.roll(mask, (shift, shift), (0, 1))
    soft = Image.fromarray(shadow.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(2))
    canvas *= 1 - 0.45 * (np.asarray(soft, np.float32) / 255)[:, :, None]


def _film(pixels: Field, rng: np.random.Generator) -> Field:
    """See through a poor camera: soft, dark corners, a colour cast and grain."""
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    soft = np.asarray(image.filter(ImageFilter.BoxBlur(0.4)), np.float32)
    y = np.linspace(-1, 1, soft.shape[0], dtype=np.float32)[:, None, None]
    x = np.linspace(-1, 1, soft.shape[1], dtype=np.float32)[None, :, None]
    light = (1 - 0.2 * (x * x + y * y)) * np.array([1.05, 0.98, 0.86], np.float32)
    grain = rng.standard_normal((*soft.shape[:2], 1), dtype=np.float32) * 4
    # Steps of 16 keep the lossless frames of AVSBench small.
    return np.asarray(np.floor((soft * light + grain) / 16) * 16 + 8, np.float32)
