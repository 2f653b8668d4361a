from dataclasses import replace

import numpy as np
import pytest

from avsynth.core.hashing import generator
from avsynth.toy.backgrounds import Style
from avsynth.toy.scenes import paint, stage
from avsynth.toy.shapes import FIGURES


@pytest.mark.parametrize(("style", "least"), [("drawn", 0.92), ("filmed", 0.75)])
@pytest.mark.parametrize("name", sorted(FIGURES))
def test_the_mask_is_where_the_thing_is_painted(name: str, style: Style, least: float) -> None:
    scene = stage((name,), 192, 224, style, generator(3, name))
    thing = replace(
        scene.things[0],
        x_px=112,
        y_px=96,
        size_px=70,
        tints=dict.fromkeys(scene.things[0].tints, (255, 0, 255)),
    )
    plain = replace(scene, ground=np.full_like(scene.ground, 90), things=(thing,))
    pixels, (cutout,) = paint(plain, generator(3))
    assert pixels.shape == (192, 224, 3)
    assert cutout.whole
    magenta = pixels[:, :, 1] < 0.5 * pixels[:, :, 0]
    if style == "drawn":  # its outlines are dark
        magenta |= pixels[:, :, 1] < 80
    overlap = (magenta & cutout.mask).sum() / (magenta | cutout.mask).sum()
    assert overlap > least


def test_what_is_nearer_hides_what_is_behind() -> None:
    scene = stage(("dog", "piano"), 200, 200, "drawn", generator(0))
    placed = tuple(replace(t, x_px=100, y_px=100, size_px=60) for t in scene.things)
    _, (dog, piano) = paint(replace(scene, things=placed), generator(0))
    assert not (dog.mask & piano.mask).any()
    assert not dog.whole
    assert piano.whole


def test_a_thing_at_the_edge_is_not_whole() -> None:
    scene = stage(("dog",), 200, 200, "drawn", generator(0))
    moved = replace(scene, things=(replace(scene.things[0], x_px=5.0),))
    _, (dog,) = paint(moved, generator(0))
    assert dog.mask[:, 0].any()
    assert not dog.whole


def test_the_two_worlds_look_different() -> None:
    saturation = {}
    for style in ("drawn", "filmed"):
        pictures = [
            paint(stage(("cat", "bus"), 128, 128, style, generator(n)), generator(n))[0]
            for n in range(8)
        ]
        spread = [np.ptp(p.astype(int), axis=2).mean() for p in pictures]
        saturation[style] = np.mean(spread)
    assert saturation["drawn"] > 1.15 * saturation["filmed"]
