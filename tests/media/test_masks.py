"""Masks that people give: one rule for arrays and pictures of every kind."""

import numpy as np
import pytest
from PIL import Image

from c2g_jax.media.masks import read_mask, to_mask
from c2g_jax.types import InputError, Prompt, mask_pixels

INSIDE = np.zeros((48, 64), bool)
INSIDE[12:36, 20:44] = True  # 576 pixels


def soft(low: float, high: float) -> np.ndarray:
    return np.where(INSIDE, high, low)


@pytest.mark.parametrize(
    "mask",
    [
        INSIDE,
        INSIDE.tolist(),
        INSIDE.astype(np.uint8),
        INSIDE.astype(np.int64),
        INSIDE.astype(np.uint8) * 255,
        INSIDE.astype(">u2") * 255,
        INSIDE.astype(np.float16),
        soft(0.02, 0.97),
        soft(0.0, 0.5).astype(np.float32),
        soft(0.499, 1.0),
    ],
)
def test_arrays_that_are_masks(mask):
    for read in (mask_pixels, to_mask, lambda mask: Prompt(0, 1, mask=mask).mask):
        found = read(mask)
        assert found.dtype == bool
        np.testing.assert_array_equal(found, INSIDE)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_masks_of_one_value(value):
    found = to_mask(np.full((3, 4), value, np.uint8))
    assert (found == (value > 0)).all()


LABELS = INSIDE + np.pad(np.uint8([[2]]), ((0, 47), (0, 63)))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (soft(-5, 5), "numbers from -5 to 5: give bool.*logits > 0"),
        (soft(0.0, 1.01), "numbers from 0 to 1.01: give bool"),
        (soft(0.0, np.nan), "numbers from nan to nan"),
        (soft(0.0, np.inf), "numbers from 0 to inf"),
        (soft(0, 255).astype(float), "numbers from 0 to 255"),
        (LABELS, "the values 0, 1, 2: give one object, .*ids == 2"),
        (LABELS.astype(np.int32) * 1000, "numbers from 0 to 2000"),
        (soft(0, -1).astype(int), "numbers from -1 to 0"),
        (np.arange(64 * 48).reshape(48, 64) % 256, "values 0, 1, .*, 8, ...: give one"),
        (soft(0, 1).astype(str), "of <U"),
        (np.full((4, 4), "dog"), "of <U3 is given: make it bool"),
        (np.full((4, 4), None), "of object is given"),
        (soft(0, 1).astype(complex), "of complex128"),
        (INSIDE[None], r"of shape \(1, 48, 64\) is given: make it HxW"),
        (soft(-5, 5)[None, None], r"of shape \(1, 1, 48, 64\)"),
        (np.zeros((0, 5)), r"of shape \(0, 5\)"),
        ([[1, 0], [1]], "of shape"),
        ("mask.png", "of shape"),
        (None, "of shape"),
    ],
)
def test_arrays_that_are_no_masks(mask, words):
    for read in (mask_pixels, to_mask):
        with pytest.raises(InputError, match=f"a mask .*{words}") as error:
            read(mask)
        assert "\n" not in str(error.value)
    if mask is not None:
        with pytest.raises(InputError, match=words):
            Prompt(0, 1, mask=mask)


def rgba(alpha: np.ndarray, level: int = 200) -> Image.Image:
    rgb = np.full((48, 64, 3), level, np.uint8)
    return Image.fromarray(np.dstack([rgb, alpha.astype(np.uint8)]))


def palette(ids: np.ndarray, colours=(0, 0, 0, 128, 0, 0, 0, 128, 0)) -> Image.Image:
    image = Image.fromarray(ids.astype(np.uint8))
    image.putpalette(colours)
    return image


def transparent(image: Image.Image, index: int) -> Image.Image:
    image.info["transparency"] = index
    return image


GREY = soft(0, 255).astype(np.uint8)
PICTURES = {
    "black and white": Image.fromarray(GREY),
    "one bit": Image.fromarray(GREY).convert("1"),
    "dirty levels": Image.fromarray(soft(60, 190).astype(np.uint8)),
    "an id in grey": Image.fromarray(INSIDE.astype(np.uint8)),
    "16 bits": Image.fromarray(GREY.astype(np.uint16) * 257),
    "16 bits of 255": Image.fromarray(GREY.astype(np.uint16)),
    "an id in 16 bits": Image.fromarray(INSIDE.astype(np.uint16)),
    "white on black": Image.fromarray(GREY).convert("RGB"),
    "red on black": Image.fromarray(np.dstack([GREY, GREY * 0, GREY * 0])),
    "blue on black": Image.fromarray(np.dstack([GREY * 0, GREY * 0, GREY])),
    "a cut-out": rgba(GREY),
    "a black cut-out": rgba(GREY, 0),
    "a soft cut-out": rgba(soft(20, 240)),
    "an opaque picture": Image.merge("RGBA", [Image.fromarray(GREY)] * 3 + [
        Image.new("L", (64, 48), 255)]),
    "grey with alpha": Image.merge("LA", [Image.new("L", (64, 48)),
                                          Image.fromarray(GREY)]),
    "opaque grey": Image.merge("LA", [Image.fromarray(GREY),
                                      Image.new("L", (64, 48), 255)]),
    "an id of a palette": palette(INSIDE),
    "the third id alone": palette(INSIDE * 2),
    "a cut-out with a palette": transparent(palette(2 - INSIDE), 2),
    "a transparent colour": transparent(Image.fromarray(255 - GREY), 255),
}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_that_are_masks(tmp_path, kind):
    PICTURES[kind].save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), INSIDE)
    np.testing.assert_array_equal(to_mask(PICTURES[kind]), INSIDE)


def test_the_noise_of_a_jpeg_is_no_object(tmp_path):
    for quality in (10, 40, 95):
        Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=quality)
        found = read_mask(tmp_path / "a.jpg")
        assert (found != INSIDE).mean() < 0.01
        rgb = Image.fromarray(GREY).convert("RGB")
        rgb.save(tmp_path / "b.jpg", quality=quality)
        assert (read_mask(tmp_path / "b.jpg") != INSIDE).mean() < 0.01


def test_a_mask_is_turned_as_its_picture(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY[:, :40]).save(tmp_path / "a.png", exif=exif)
    found = read_mask(tmp_path / "a.png")
    np.testing.assert_array_equal(found, np.rot90(INSIDE[:, :40], -1))


MAP = np.zeros((48, 64), np.uint8)
MAP[12:36, 20:44], MAP[40:44, 2:9] = 2, 5


@pytest.mark.parametrize("depth", [None, np.uint8, np.uint16])
def test_a_picture_of_several_objects_needs_an_id(tmp_path, depth):
    image = palette(MAP, range(30)) if depth is None else None
    image = image or Image.fromarray(MAP.astype(depth))
    image.save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"2, 5.*mask_id|0, 2, 5"):
        read_mask(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"2, 5.*numpy\.asarray|0, 2, 5"):
        to_mask(image)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", 2), INSIDE)
    assert read_mask(tmp_path / "a.png", 5).sum() == 28
    with pytest.raises(InputError, match="has no object 3: choose one of 2, 5"):
        read_mask(tmp_path / "a.png", 3)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.fromarray(soft(0, 90).astype(np.uint8)), "nowhere brighter than a half"),
        (Image.fromarray(soft(-5, 5).astype(np.float32)), "numbers from -5 to 5"),
    ],
)
def test_pictures_that_are_no_masks(image, words):
    with pytest.raises(InputError, match=words):
        to_mask(image)


def test_files_that_are_no_masks(tmp_path):
    frames = [Image.new("RGB", (64, 48), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"a\.webp: is animated: give one picture"):
        read_mask(tmp_path / "a.webp")
    frames[0].save(tmp_path / "rgb.png")
    with pytest.raises(InputError, match="mode RGB, so no ids: leave out mask_id"):
        read_mask(tmp_path / "rgb.png", 1)


@pytest.mark.parametrize("level", [0, 18, 127])
def test_a_dark_picture_without_anything_in_it_is_an_empty_mask(level):
    assert not to_mask(Image.new("L", (4, 4), level)).any()
    assert not to_mask(Image.new("RGB", (4, 4), (level, 0, 0))).any()
