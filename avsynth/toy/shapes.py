"""`SHAPES`: the polygons of each category, with a tint per polygon.

Coordinates run from -1 to 1, x to the right and y down. A category is identified by its outline and
its parts (a mane, floppy ears, a row of windows), and less reliably by its usual colour. Colour and
texture are sampled for every object. Later parts cover earlier ones.
"""

import numpy as np

from avsynth.toy.parts import Part, box, oval, poly, star, stroke


def _legs(xs: tuple[float, ...], top: float, foot: float, width: float) -> list[Part]:
    return [box(x - width / 2, top, x + width / 2, foot, "dark") for x in xs]


def _eyes(x: float, y: float, apart: float, size: float) -> list[Part]:
    return [oval(x + s * apart, y, size, size, "ink", inner=True) for s in (-1, 1)]


def _curve(count: int, x: object, y: object) -> list[tuple[float, float]]:
    """Sample x(t), y(t) for t in 0..1."""
    steps = np.linspace(0, 1, count)
    return [(float(x(t)), float(y(t))) for t in steps]  # type: ignore[operator]


def _car(length: float, roof: list[Part]) -> list[Part]:
    """Add two wheels below a body."""
    wheels = [
        part
        for x in (-0.55 * length, 0.55 * length)
        for part in (oval(x, 0.5, 0.22, 0.22, "ink"), oval(x, 0.5, 0.09, 0.09, "light", inner=True))
    ]
    return [*roof, *wheels]


_AMBULANCE = _car(
    1.0,
    [
        box(-0.55, -0.72, -0.05, -0.55, "accent"),
        poly((-0.95, -0.58), (0.45, -0.58), (0.5, -0.2), (0.8, -0.1), (0.95, 0.1), (0.95, 0.48),
             (-0.95, 0.48), tint="light"),
        poly((0.5, -0.48), (0.74, -0.12), (0.5, -0.12), tint="glass"),
        box(-0.95, 0.25, 0.95, 0.36, "accent", inner=True),
        box(-0.42, -0.42, -0.2, 0.18, "accent", inner=True),
        box(-0.6, -0.22, -0.02, -0.02, "accent", inner=True),
    ],
)  # fmt: skip
_BUS = _car(
    1.1,
    [
        box(-1.0, -0.6, 1.0, 0.48),
        *(box(x, -0.42, x + 0.24, -0.02, "glass", inner=True) for x in np.linspace(-0.92, 0.68, 6)),
        box(-1.0, 0.12, 1.0, 0.2, "light", inner=True),
    ],
)
_CAT = [
    stroke(0.13, *_curve(9, lambda t: 0.35 + 0.5 * np.sin(2.4 * t), lambda t: 0.8 - 1.1 * t)),
    oval(0, 0.48, 0.46, 0.5),
    poly((-0.5, -0.95), (-0.5, -0.3), (-0.06, -0.55)),
    poly((0.5, -0.95), (0.5, -0.3), (0.06, -0.55)),
    oval(0, -0.3, 0.5, 0.4),
    oval(0, 0.6, 0.2, 0.3, "light", inner=True),
    *_eyes(0, -0.36, 0.2, 0.08),
    poly((-0.07, -0.2), (0.07, -0.2), (0, -0.1), tint="accent", inner=True),
    oval(-0.2, 0.9, 0.16, 0.09, "dark"),
    oval(0.2, 0.9, 0.16, 0.09, "dark"),
]
_DOG = [
    stroke(0.13, (-0.65, 0.0), (-0.85, -0.3), (-0.9, -0.6)),
    *_legs((-0.55, -0.3, 0.2, 0.42), 0.2, 0.9, 0.16),
    oval(-0.1, 0.1, 0.68, 0.33),
    oval(0.55, -0.35, 0.32, 0.3),
    box(0.62, -0.38, 1.0, -0.12, "light"),
    oval(0.96, -0.34, 0.08, 0.07, "ink"),
    oval(0.42, -0.22, 0.13, 0.34, "dark", 0.25),
    oval(0.66, -0.45, 0.06, 0.06, "ink", inner=True),
]
_HORSE = [
    stroke(0.16, (-0.6, -0.12), (-0.86, 0.1), (-0.92, 0.55), tint="dark"),
    *_legs((-0.52, -0.32, 0.22, 0.42), 0.1, 0.98, 0.11),
    oval(-0.08, 0.0, 0.6, 0.28),
    poly((0.2, -0.1), (0.5, 0.1), (0.78, -0.55), (0.5, -0.75)),
    poly((0.5, -0.8), (0.95, -0.42), (0.88, -0.26), (0.52, -0.48)),
    poly((0.12, -0.2), (0.42, -0.86), (0.56, -0.78), (0.32, -0.15), tint="dark"),
    poly((0.5, -0.74), (0.54, -0.98), (0.64, -0.7)),
    oval(0.64, -0.58, 0.04, 0.04, "ink", inner=True),
]
_LION = [
    stroke(0.09, (0.4, 0.6), (0.8, 0.5), (0.85, 0.05)),
    oval(0.86, -0.02, 0.12, 0.16, "dark"),
    oval(0.1, 0.55, 0.5, 0.35),
    *_legs((-0.22, 0.2), 0.6, 0.96, 0.2),
    star(-0.12, -0.22, 0.78, 0.6, 15, "dark"),
    oval(-0.12, -0.2, 0.42, 0.42, "light"),
    *_eyes(-0.12, -0.3, 0.17, 0.06),
    poly((-0.24, -0.12), (0.0, -0.12), (-0.12, 0.04), tint="ink", inner=True),
]
_BIRD = [
    poly((-0.4, 0.1), (-1.0, 0.0), (-0.95, 0.22), (-0.9, 0.42), tint="dark"),
    oval(0, 0.15, 0.6, 0.28),
    oval(0.5, -0.05, 0.24, 0.22),
    poly((0.68, -0.14), (1.0, -0.02), (0.68, 0.08), tint="accent"),
    poly((-0.25, 0.1), (0.3, 0.1), (-0.15, -0.55), (-0.5, -0.95), tint="dark"),
    oval(0.56, -0.1, 0.05, 0.05, "ink", inner=True),
]
_GUITAR = [
    poly((-0.07, -0.8), (0.07, -0.8), (0.07, 0.1), (-0.07, 0.1), tint="dark"),
    box(-0.15, -1.0, 0.15, -0.74, "dark"),
    oval(0, 0.08, 0.36, 0.32),
    oval(0, 0.55, 0.48, 0.42),
    oval(0, 0.25, 0.15, 0.15, "ink", inner=True),
    box(-0.2, 0.62, 0.2, 0.7, "ink", inner=True),
    *(box(x - 0.008, -0.8, x + 0.008, 0.62, "light", inner=True) for x in (-0.03, 0.03)),
]
_PIANO = [
    box(-0.85, -0.85, 0.85, 0.95, "dark"),
    box(-0.75, -0.72, 0.75, -0.22, "body", inner=True),
    box(-0.98, -0.08, 0.98, 0.24, "white"),
    *(box(x, -0.08, x + 0.08, 0.12, "ink", inner=True) for x in np.linspace(-0.86, 0.78, 9)),
    *(box(x, 0.24, x + 0.12, 0.98, "dark") for x in (-0.95, 0.83)),
]
_KEYBOARD = [
    poly((-0.86, -0.36), (0.86, -0.36), (1.0, 0.36), (-1.0, 0.36)),
    *(
        box(x * (0.84 + 0.07 * row), -0.28 + 0.2 * row, x * (0.84 + 0.07 * row) + 0.12,
            -0.14 + 0.2 * row, "light", inner=True)
        for row in range(2)
        for x in np.linspace(-0.92, 0.8, 10)
    ),
    *(box(x, 0.12, x + 0.14, 0.24, "light", inner=True) for x in (-0.86, -0.66, 0.5, 0.7)),
    box(-0.42, 0.12, 0.4, 0.24, "light", inner=True),
]  # fmt: skip
_AIRPLANE = [
    poly((-0.1, -0.15), (0.3, -0.1), (-0.25, -0.98), (-0.5, -0.98), tint="dark"),
    poly((-0.1, 0.15), (0.3, 0.1), (-0.25, 0.98), (-0.5, 0.98), tint="dark"),
    poly((-0.7, 0), (-0.6, -0.1), (-0.9, -0.42), (-1.0, -0.42), (-0.95, 0), (-1.0, 0.42),
         (-0.9, 0.42), (-0.6, 0.1), tint="accent"),
    oval(0, 0, 0.98, 0.14, "light"),
    oval(0.78, 0, 0.1, 0.08, "glass", inner=True),
]  # fmt: skip
_CLOCK = [
    stroke(0.14, (-0.4, 0.6), (-0.62, 0.96), tint="dark"),
    stroke(0.14, (0.4, 0.6), (0.62, 0.96), tint="dark"),
    oval(-0.48, -0.66, 0.32, 0.24, "accent", -0.7),
    oval(0.48, -0.66, 0.32, 0.24, "accent", 0.7),
    stroke(0.1, (0, -0.6), (0, -0.95), tint="dark"),
    oval(0, 0.08, 0.76, 0.76),
    oval(0, 0.08, 0.58, 0.58, "white", inner=True),
    stroke(0.08, (0, 0.08), (0.0, -0.34), tint="ink"),
    stroke(0.08, (0, 0.08), (0.3, 0.24), tint="ink"),
]
_DONKEY = [
    oval(-0.3, -0.66, 0.12, 0.34, "body", -0.25),
    oval(0.3, -0.66, 0.12, 0.34, "body", 0.25),
    oval(-0.3, -0.64, 0.06, 0.24, "accent", -0.25, inner=True),
    oval(0.3, -0.64, 0.06, 0.24, "accent", 0.25, inner=True),
    oval(0, 0.6, 0.55, 0.28),
    *_legs((-0.36, -0.14, 0.14, 0.36), 0.65, 0.98, 0.14),
    poly((-0.3, -0.4), (0.3, -0.4), (0.22, 0.42), (-0.22, 0.42)),
    oval(0, 0.4, 0.32, 0.22, "white"),
    *_eyes(0, -0.15, 0.17, 0.06),
    *_eyes(0, 0.4, 0.12, 0.05),
]
_DUCK = [
    poly((-0.95, -0.2), (-0.5, 0.05), (0.7, 0.1), (0.62, 0.55), (0.2, 0.75), (-0.4, 0.72),
         (-0.8, 0.4)),
    stroke(0.26, (0.42, 0.3), (0.5, -0.1), (0.48, -0.4), tint="white"),
    oval(0.46, -0.5, 0.28, 0.26, "dark"),
    poly((0.66, -0.56), (1.0, -0.46), (1.0, -0.32), (0.64, -0.38), tint="accent"),
    oval(-0.15, 0.32, 0.42, 0.2, "light", inner=True),
    oval(0.52, -0.58, 0.05, 0.05, "ink", inner=True),
]  # fmt: skip
_FROG = [
    oval(-0.66, 0.42, 0.34, 0.24, "dark", 0.5),
    oval(0.66, 0.42, 0.34, 0.24, "dark", -0.5),
    poly((-0.95, 0.8), (-0.5, 0.55), (-0.45, 0.8), tint="dark"),
    poly((0.95, 0.8), (0.5, 0.55), (0.45, 0.8), tint="dark"),
    oval(0, 0.25, 0.68, 0.52),
    oval(-0.36, -0.32, 0.24, 0.24),
    oval(0.36, -0.32, 0.24, 0.24),
    oval(-0.36, -0.34, 0.15, 0.15, "white", inner=True),
    oval(0.36, -0.34, 0.15, 0.15, "white", inner=True),
    *_eyes(0, -0.34, 0.36, 0.08),
    box(-0.4, 0.16, 0.4, 0.22, "ink", inner=True),
    oval(0, 0.5, 0.4, 0.2, "light", inner=True),
]
_SNAKE = [
    stroke(0.24, *_curve(30, lambda t: -0.9 + 1.6 * t, lambda t: 0.36 * np.sin(9.5 * t))),
    oval(0.76, -0.08, 0.23, 0.17, "dark"),
    oval(0.82, -0.13, 0.05, 0.05, "ink", inner=True),
]
_SQUIRREL = [
    stroke(0.42, *_curve(9, lambda t: -0.25 - 0.42 * np.sin(2.9 * t), lambda t: 0.75 - 1.35 * t),
           tint="dark"),
    oval(-0.22, -0.62, 0.32, 0.28, "dark"),
    oval(0.18, 0.42, 0.34, 0.46),
    oval(0.42, -0.1, 0.28, 0.24),
    poly((0.22, -0.24), (0.28, -0.52), (0.42, -0.28)),
    oval(0.62, -0.06, 0.14, 0.1, "light"),
    oval(0.24, 0.5, 0.16, 0.28, "white", inner=True),
    oval(0.44, -0.16, 0.05, 0.05, "ink", inner=True),
    oval(0.25, 0.88, 0.34, 0.1, "dark"),
]  # fmt: skip
_HELICOPTER = [
    box(-0.8, -0.62, 1.0, -0.54, "ink"),
    box(0.06, -0.58, 0.16, -0.3, "dark"),
    poly((-0.1, -0.2), (-0.95, -0.1), (-0.95, 0.02), (-0.1, 0.2), tint="dark"),
    poly((-0.86, -0.05), (-1.0, -0.4), (-0.82, -0.4), (-0.74, -0.05), tint="accent"),
    oval(0.22, 0.05, 0.56, 0.36),
    oval(0.5, 0.0, 0.24, 0.22, "glass", inner=True),
    box(-0.02, 0.35, 0.04, 0.62, "ink"),
    box(0.42, 0.35, 0.48, 0.62, "ink"),
    box(-0.3, 0.58, 0.8, 0.66, "ink"),
]
_BANANA = [
    poly(*_curve(9, lambda t: -0.9 + 1.8 * t, lambda t: 0.55 - 1.1 * (2 * t - 1) ** 2),
         *_curve(9, lambda t: 0.8 - 1.6 * t, lambda t: 0.15 - 0.7 * (2 * t - 1) ** 2)),
    box(0.82, -0.68, 0.94, -0.48, "ink"),
]  # fmt: skip

SHAPES: dict[str, list[Part]] = {
    "ambulance": _AMBULANCE, "cat": _CAT, "dog": _DOG, "bus": _BUS, "horse": _HORSE, "lion": _LION,
    "bird": _BIRD, "guitar": _GUITAR, "piano": _PIANO, "computer_keyboard": _KEYBOARD,
    "airplane": _AIRPLANE, "alarm_clock": _CLOCK, "donkey": _DONKEY, "duck": _DUCK, "frog": _FROG,
    "snake": _SNAKE, "squirrel": _SQUIRREL, "helicopter": _HELICOPTER, "banana": _BANANA,
}  # fmt: skip

MAX_TURN_RAD: dict[str, float] = {"guitar": 0.9, "airplane": 1.2, "banana": 1.5, "snake": 0.5}
"""Highest rotation of an object to either side, in radians; 0.15 for other categories."""

USUAL_HSV: dict[str, tuple[float, float, float]] = {
    "ambulance": (0.0, 0.12, 0.95), "cat": (0.08, 0.85, 0.95), "dog": (0.08, 0.55, 0.5),
    "bus": (0.0, 0.9, 0.85), "horse": (0.03, 0.8, 0.35), "lion": (0.14, 0.85, 0.95),
    "bird": (0.58, 0.85, 0.9), "guitar": (0.06, 0.9, 0.75), "piano": (0.0, 0.1, 0.25),
    "computer_keyboard": (0.6, 0.1, 0.5), "airplane": (0.6, 0.25, 0.95),
    "alarm_clock": (0.92, 0.75, 0.9), "donkey": (0.6, 0.12, 0.65), "duck": (0.72, 0.6, 0.75),
    "frog": (0.33, 0.85, 0.75), "snake": (0.22, 0.9, 0.8), "squirrel": (0.48, 0.75, 0.7),
    "helicopter": (0.25, 0.55, 0.4), "banana": (0.16, 0.9, 1.0),
}  # fmt: skip
"""The usual hue, saturation and value of a category, 0..1; single objects deviate from it."""
