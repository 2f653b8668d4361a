"""`Scene`: the objects of an image and their positions, its rendering, and a mask per object.

Two styles make a domain gap. ``drawn`` (LVIS, Open Images, COCO): flat saturated colours with
outlines on a patterned background. ``photo`` (AVSBench): muted colours lit from one side, soft
shadows, horizon, blur, vignette, colour cast and noise. The shapes of objects are the same in both
styles, so a model can generalise from one to the other.
"""

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from pycocotools import mask as coco_mask

from avsynth.toy.backgrounds import Field, Style, draw_background
from avsynth.toy.parts import Part, Points
from avsynth.toy.shapes import MAX_TURN_RAD, SHAPES, USUAL_HSV

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
_COARSE = {"drawn": 1, "photo": 2}  # a photo-style image has half of its stored resolution
_FINE = 2  # polygons are drawn at twice the resolution, then averaged: antialiasing
_ODD_COLOURS = 0.1  # share of objects in a random colour instead of the usual one
_INK, _WHITE, _GLASS = (28, 26, 30), (240, 238, 230), (140, 190, 225)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: its category, position (pixels, radians) and appearance."""

    name: str
    x_px: float
    y_px: float
    size_px: float
    """Half the side of its square, in pixels."""
    turn_rad: float
    mirrored: bool
    stretch: float
    """Height over width."""
    tints: dict[str, tuple[int, int, int]]
    texture: int
    """0 plain, 1 stripes, 2 spots, 3 blotches."""
    pitch: float
    """Phase and scale of the texture."""

    def moved(self, dx_px: float, dy_px: float, turn_rad: float) -> "SceneObject":
        """Return the same object at another position, for the next frame of a clip."""
        return replace(
            self, x_px=self.x_px + dx_px, y_px=self.y_px + dy_px, turn_rad=self.turn_rad + turn_rad
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and the objects on it, the nearest last."""

    height_px: int
    width_px: int
    background: Field
    """float32 ``[h, w, 3]``, 0..255, at the style's own resolution."""
    objects: tuple[SceneObject, ...]
    style: Style


@dataclass(frozen=True, slots=True)
class ObjectMask:
    """The annotation of one object: its mask and outline."""

    name: str
    mask: Mask
    """The visible pixels, bool ``[H, W]``."""
    polygons: tuple[Points, ...]
    """The outline in pixels; it equals the mask only if ``fully_visible``."""
    fully_visible: bool
    """Whether no other object and no image edge hides a part of the object."""


def place_objects(
    names: tuple[str, ...], height_px: int, width_px: int, style: Style, rng: np.random.Generator
) -> Scene:
    """Place one object per name on a new background.

    Args:
        names: categories of the objects; a name may occur twice.
        height_px: height of the image.
        width_px: width of the image.
        style: ``drawn`` or ``photo``.
        rng: source of all random choices.
    """
    coarse = _COARSE[style]
    background = draw_background(height_px // coarse, width_px // coarse, style, rng)
    spots: list[tuple[float, float, float]] = []
    for _ in names:
        spots.append(_find_position(spots, height_px, width_px, rng))
    objects = tuple(
        _random_object(name, *spot, style, rng) for name, spot in zip(names, spots, strict=True)
    )
    return Scene(height_px, width_px, background, objects, style)


def render_scene(scene: Scene, rng: np.random.Generator) -> tuple[Pixels, list[ObjectMask]]:
    """Render a scene.

    Args:
        scene: the background and objects.
        rng: source of the noise of the photo style.

    Returns:
        uint8 ``[H, W, 3]`` RGB, and one mask per object in the order of the scene.
    """
    coarse = _COARSE[scene.style]
    outlines = [_parts_in_pixels(obj) for obj in scene.objects]
    full = [
        _rasterise([p.points for p in parts if not p.inner], scene.height_px, scene.width_px)
        for parts in outlines
    ]
    canvas = scene.background.copy()
    if scene.style == "photo":
        _draw_shadows(canvas, [mask[::coarse, ::coarse] for mask in full], scene.objects)
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    image = image.resize((image.width * _FINE, image.height * _FINE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    for obj, parts in zip(scene.objects, outlines, strict=True):
        for part in parts:
            _draw_part(draw, part, obj, _FINE / coarse, outlined=scene.style == "drawn")
    pixels = np.asarray(image.reduce(_FINE), np.float32).copy()
    object_masks = _object_masks(scene.objects, outlines, full)
    for obj, object_mask in zip(scene.objects, object_masks, strict=True):
        _apply_texture(pixels, obj, object_mask.mask[::coarse, ::coarse], scene.style)
    if scene.style == "photo":
        pixels = _apply_camera(pixels, rng)
    rgb = pixels.clip(0, 255).astype(np.uint8)
    return rgb.repeat(coarse, 0).repeat(coarse, 1), object_masks


def _object_masks(
    objects: tuple[SceneObject, ...], outlines: list[list[Part]], full: list[Mask]
) -> list[ObjectMask]:
    height, width = full[0].shape
    covered = np.zeros((height, width), bool)
    found: list[ObjectMask] = []
    for obj, parts, mask in reversed(list(zip(objects, outlines, full, strict=True))):
        points = tuple(p.points for p in parts if not p.inner)
        corners = np.concatenate(points)
        inside = bool((corners >= 0).all() and (corners <= (width, height)).all())
        fully_visible = inside and not bool((mask & covered).any())
        found.append(ObjectMask(obj.name, mask & ~covered, points, fully_visible))
        covered |= mask
    return found[::-1]


def _find_position(
    taken: list[tuple[float, float, float]], height: int, width: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Find a position with little overlap with other objects: the best of up to 14 tries."""
    side = min(height, width)
    best, least = (width / 2, height / 2, side / 5), np.inf
    for attempt in range(14):
        size = side * rng.uniform(0.2, 0.33) * (1 - 0.02 * attempt)
        margin = size * rng.choice([0.9, 1.05])  # an image edge sometimes cuts an object
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


def _random_object(
    name: str, x: float, y: float, size: float, style: Style, rng: np.random.Generator
) -> SceneObject:
    hue, saturation, value = USUAL_HSV[name]
    if rng.uniform() < _ODD_COLOURS:
        hue, saturation, value = rng.uniform(), rng.uniform(0.3, 0.9), rng.uniform(0.5, 0.9)
    hue = (hue + rng.normal(0, 0.03)) % 1
    saturation = float(np.clip(saturation + rng.uniform(-0.12, 0.12), 0, 1))
    value = float(np.clip(value + rng.uniform(-0.12, 0.12), 0.15, 1))
    if style == "photo":
        saturation, value = 0.6 * saturation, 0.85 * value
    body = np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255
    other = (hue + rng.uniform(0.3, 0.7)) % 1
    accent = np.array(colorsys.hsv_to_rgb(other, max(saturation, 0.3), 0.9)) * 255
    shades = {
        "body": body, "dark": body * 0.62, "light": body * 0.45 + 125, "accent": accent,
        "ink": np.array(_INK), "white": np.array(_WHITE), "glass": np.array(_GLASS),
    }  # fmt: skip
    limit = MAX_TURN_RAD.get(name, 0.15)
    return SceneObject(
        name, x, y, size,
        turn_rad=rng.uniform(-limit, limit),
        mirrored=bool(rng.integers(2)),
        stretch=rng.uniform(0.88, 1.12),
        tints={key: (int(c[0]), int(c[1]), int(c[2])) for key, c in shades.items()},
        texture=int(rng.integers(4)),
        pitch=rng.uniform(0.5, 1.5),
    )  # fmt: skip


def _parts_in_pixels(obj: SceneObject) -> list[Part]:
    """Return the parts of an object in image pixels, rounded to 0.01 like annotations."""
    cos, sin = np.cos(obj.turn_rad), np.sin(obj.turn_rad)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [-1.0 if obj.mirrored else 1.0, obj.stretch]
    )
    matrix = matrix * obj.size_px
    centre = np.array([obj.x_px, obj.y_px])
    return [
        replace(part, points=np.round(part.points @ matrix.T + centre, 2))
        for part in SHAPES[obj.name]
    ]


def _rasterise(polygons: list[Points], height: int, width: int) -> Mask:
    flat = [np.clip(p, -1, max(height, width) + 1).ravel().tolist() for p in polygons]
    runs = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
    return np.asarray(coco_mask.decode(runs), bool)


def _draw_part(
    draw: ImageDraw.ImageDraw, part: Part, obj: SceneObject, fine: float, *, outlined: bool
) -> None:
    corners = [(x, y) for x, y in (part.points * fine - 0.5).tolist()]
    tint = obj.tints[part.tint]
    edge = (tint[0] // 3, tint[1] // 3, tint[2] // 3) if outlined and not part.inner else None
    draw.polygon(corners, fill=tint, outline=edge, width=2 if edge else 1)


def _apply_texture(pixels: Field, obj: SceneObject, mask: Mask, style: Style) -> None:
    """Apply a pattern to the pixels of one object in place, and shading in the photo style."""
    ys, xs = np.nonzero(mask)
    if not len(ys):
        return
    coarse = np.float32(_COARSE[style])
    u = (coarse * xs - np.float32(obj.x_px)) / np.float32(obj.size_px)
    v = (coarse * ys - np.float32(obj.y_px)) / np.float32(obj.size_px)
    turns = 9 * obj.pitch
    if obj.texture == 1:
        shade = 1 + 0.16 * np.sign(np.sin(turns * (u + 0.6 * v)))
    elif obj.texture == 2:
        shade = 1 - 0.28 * ((np.sin(turns * u) * np.sin(turns * v)) > 0.45)
    elif obj.texture == 3:
        shade = 1 + 0.14 * np.sin(5 * obj.pitch * u + 3 * v) * np.cos(4 * v - 2 * u)
    else:
        shade = np.ones(len(u))
    if style == "photo":
        shade = shade * (1.05 - 0.32 * v + 0.15 * u)
    pixels[ys, xs] *= shade[:, None].astype(np.float32)


def _draw_shadows(canvas: Field, masks: list[Mask], objects: tuple[SceneObject, ...]) -> None:
    shadow = np.zeros(canvas.shape[:2], bool)
    for mask, obj in zip(masks, objects, strict=True):
        shift = max(1, int(obj.size_px * 0.07))
        shadow |= np.roll(mask, (shift, shift), (0, 1))
    soft = Image.fromarray(shadow.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(2))
    canvas *= 1 - 0.45 * (np.asarray(soft, np.float32) / 255)[:, :, None]


def _apply_camera(pixels: Field, rng: np.random.Generator) -> Field:
    """Apply the effects of a poor camera: blur, vignette, colour cast and noise."""
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    soft = np.asarray(image.filter(ImageFilter.BoxBlur(0.4)), np.float32)
    y = np.linspace(-1, 1, soft.shape[0], dtype=np.float32)[:, None, None]
    x = np.linspace(-1, 1, soft.shape[1], dtype=np.float32)[None, :, None]
    light = (1 - 0.2 * (x * x + y * y)) * np.array([1.05, 0.98, 0.86], np.float32)
    grain = rng.standard_normal((*soft.shape[:2], 1), dtype=np.float32) * 4
    # Steps of 16 keep the lossless frames of AVSBench small.
    return np.asarray(np.floor((soft * light + grain) / 16) * 16 + 8, np.float32)
