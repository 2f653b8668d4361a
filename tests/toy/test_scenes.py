from dataclasses import replace

import numpy as np
import pytest

from avsynth.core.hashing import generator
from avsynth.toy.backgrounds import Style
from avsynth.toy.scenes import place_objects, render_scene
from avsynth.toy.shapes import SHAPES


@pytest.mark.parametrize(("style", "least"), [("drawn", 0.92), ("photo", 0.75)])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_mask_covers_the_rendered_object(name: str, style: Style, least: float) -> None:
    scene = place_objects((name,), 192, 224, style, generator(3, name))
    obj = replace(
        scene.objects[0],
        x_px=112,
        y_px=96,
        size_px=70,
        tints=dict.fromkeys(scene.objects[0].tints, (255, 0, 255)),
    )
    plain = replace(scene, background=np.full_like(scene.background, 90), objects=(obj,))
    pixels, (object_mask,) = render_scene(plain, generator(3))
    assert pixels.shape == (192, 224, 3)
    assert object_mask.fully_visible
    magenta = pixels[:, :, 1] < 0.5 * pixels[:, :, 0]
    if style == "drawn":  # its outlines are dark
        magenta |= pixels[:, :, 1] < 80
    overlap = (magenta & object_mask.mask).sum() / (magenta | object_mask.mask).sum()
    assert overlap > least


def test_a_nearer_object_hides_a_farther_one() -> None:
    scene = place_objects(("dog", "piano"), 200, 200, "drawn", generator(0))
    placed = tuple(replace(t, x_px=100, y_px=100, size_px=60) for t in scene.objects)
    _, (dog, piano) = render_scene(replace(scene, objects=placed), generator(0))
    assert not (dog.mask & piano.mask).any()
    assert not dog.fully_visible
    assert piano.fully_visible


def test_an_object_at_the_edge_is_not_fully_visible() -> None:
    scene = place_objects(("dog",), 200, 200, "drawn", generator(0))
    moved = replace(scene, objects=(replace(scene.objects[0], x_px=5.0),))
    _, (dog,) = render_scene(moved, generator(0))
    assert dog.mask[:, 0].any()
    assert not dog.fully_visible


def test_the_two_styles_differ_in_saturation() -> None:
    saturation = {}
    for style in ("drawn", "photo"):
        images = [
            render_scene(
                place_objects(("cat", "bus"), 128, 128, style, generator(n)), generator(n)
            )[0]
            for n in range(8)
        ]
        spread = [np.ptp(p.astype(int), axis=2).mean() for p in images]
        saturation[style] = np.mean(spread)
    assert saturation["drawn"] > 1.15 * saturation["photo"]
