"""Random colours and surface patterns of things."""

import numpy as np

from . import textures


def paints(rng: np.random.Generator, category: str) -> dict:
    """Sample {paint: (kind of tile, colour, second colour)} for a class."""
    return _PAINTS[category](rng)


def tiles(rng: np.random.Generator, surfaces: dict, scale: float) -> dict:
    """Return {paint: tile image}. scale: pixels per world unit."""
    return {
        name: textures.tile(rng, kind, first, second, scale)
        for name, (kind, first, second) in surfaces.items()
    }


_SKIN = ((238, 200, 170), (214, 164, 126), (160, 108, 76), (108, 72, 52))
_HAIR = ((44, 32, 26), (92, 58, 34), (204, 160, 84), (150, 70, 40), (170, 168, 166))
_CLOTH = (
    (196, 52, 48), (44, 84, 168), (232, 186, 60), (60, 140, 92), (122, 70, 150),
    (236, 236, 232), (40, 46, 60), (230, 130, 60), (96, 176, 200), (214, 110, 150),
)  # fmt: skip
_FUR = {
    "dog": ((150, 96, 52), (222, 194, 150), (64, 52, 46), (236, 230, 220)),
    "cat": ((216, 136, 60), (112, 112, 118), (52, 50, 54), (226, 220, 208)),
}
_FUR_MARK = ((246, 240, 230), (60, 44, 36), (130, 84, 48))
_METAL = (150, 154, 160)
_DARK = (38, 36, 40)


def _pick(rng, colours):
    colour = np.float32(colours[rng.integers(len(colours))])
    return np.clip(colour + rng.uniform(-16, 16, 3), 8, 248)


def _two(rng, colours):
    """Sample two clearly different colours."""
    first = _pick(rng, colours)
    while True:
        second = _pick(rng, colours)
        if np.abs(first - second).sum() > 110:
            return first, second


def _person(rng) -> dict:
    shirt = _two(rng, _CLOTH)
    trousers = _two(rng, _CLOTH)
    kinds = ("plain", "bands", "bars", "checks", "dots")
    hair = _pick(rng, _HAIR)
    skin = _pick(rng, _SKIN)
    return {
        "skin": ("plain", skin, skin),
        "hair": ("fur", hair, hair),
        "shirt": (kinds[rng.integers(5)], *shirt),
        "trousers": ("plain", trousers[0], trousers[0]),
        "shoe": ("plain", *_two(rng, (_DARK, (220, 220, 220)))),
        "hat": ("bars", *_two(rng, _CLOTH)),
        "eye": ("plain", _DARK, _DARK),
    }


def _animal(category: str):
    def paints(rng) -> dict:
        coat = _pick(rng, _FUR[category])
        mark = _pick(rng, _FUR_MARK)
        while np.abs(coat - mark).sum() < 90:
            mark = _pick(rng, _FUR_MARK)
        marked = "patches" if category == "dog" else "tabby"
        kind = ("fur", marked, marked)[rng.integers(3)]
        return {
            "coat": (kind, coat, mark),
            "head": ("fur", coat, coat),
            "ear": ("fur", coat * 0.55, coat),
            "snout": ("fur", coat * 0.5 + 110, coat),
            "collar": ("plain", *_two(rng, _CLOTH)),
            "eye": ("plain", _DARK, _DARK),
        }

    return paints


def _ball(rng) -> dict:
    first, second = _two(rng, _CLOTH)
    return {"ball": ("plain", first, first), "panel": ("plain", second, second)}


def _cup(rng) -> dict:
    first, second = _two(rng, _CLOTH)
    kind = ("plain", "bands", "dots")[rng.integers(3)]
    return {
        "cup": (kind, first, second),
        "rim": ("plain", second, second),
        "drink": ("plain", (74, 44, 28), _DARK),
    }


def _bike(rng) -> dict:
    frame = _pick(rng, _CLOTH[:5] + _CLOTH[7:])
    return {
        "frame": ("plain", frame, frame),
        "tyre": ("plain", _DARK, _DARK),
        "wheel": ("plain", (188, 190, 194), _DARK),
        "spoke": ("plain", (90, 92, 96), _DARK),
        "saddle": ("plain", (60, 44, 36), _DARK),
    }


def _cart(rng) -> dict:
    first, second = _two(rng, (*_CLOTH, _METAL))
    return {
        "basket": ("grid", first, second),
        "inside": ("plain", second * 0.5, second),
        "bar": ("plain", _METAL, _METAL),
        "tyre": ("plain", _DARK, _DARK),
        "hub": ("plain", (210, 210, 210), _DARK),
    }


def _sofa(rng) -> dict:
    first, second = _two(rng, _CLOTH[:5] + _CLOTH[7:])
    kind = ("plain", "bars", "checks", "dots")[rng.integers(4)]
    return {
        "back": (kind, first * 0.85, second * 0.85),
        "seat": (kind, first, second),
        "arm": ("plain", first * 0.92, first),
        "leg": ("plain", (92, 60, 36), _DARK),
        "cushion": ("dots", second, first),
    }


_PAINTS = {
    "adult": _person,
    "child": _person,
    "dog": _animal("dog"),
    "cat": _animal("cat"),
    "ball": _ball,
    "cup": _cup,
    "bike": _bike,
    "cart": _cart,
    "sofa": _sofa,
}
