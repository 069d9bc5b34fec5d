import numpy as np
import pytest
from PIL import Image

from c2g_jax.media import images
from c2g_jax.types import InputError


def test_frame_files_in_natural_order_without_strays(tmp_path):
    for name in ("10.jpg", "2.JPG", "1.png", ".DS_Store", "._1.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    names = [path.name for path in images.frame_files(tmp_path)]
    assert names == ["1.png", "2.JPG", "10.jpg"]


def test_frame_files_with_mixed_names(tmp_path):
    for name in ("b1.jpg", "a12.jpg", "a2.jpg", "7.jpg"):
        (tmp_path / name).touch()
    names = [path.name for path in images.frame_files(tmp_path)]
    assert names == ["7.jpg", "a2.jpg", "a12.jpg", "b1.jpg"]


def test_an_empty_folder(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds no jpg, png, bmp or webp frames"):
        images.frame_files(tmp_path)


GREY = np.array([[0, 51], [102, 255]], np.uint8)


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (GREY, "L"),
        (GREY.astype(np.uint16) * 257, "I;16"),
        (np.stack([GREY, GREY * 0], -1), "LA"),
        (np.stack([GREY, GREY, GREY, GREY * 0], -1), "RGBA"),
    ],
)
def test_grey_alpha_and_16_bits_become_rgb(tmp_path, array, mode):
    image = Image.fromarray(array)
    assert image.mode == mode
    image.save(tmp_path / "a.png")
    want = np.repeat(GREY[..., None], 3, axis=2)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), want)
    np.testing.assert_array_equal(images.to_rgb(array), want)
    assert images.to_rgb(array).dtype == np.uint8


def test_a_photo_is_turned_upright(tmp_path):
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0, 0] = 255
    exif = Image.Exif()
    exif[274] = 6  # rotate by 90 degrees clockwise
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    got = images.read_image(tmp_path / "a.png")
    assert got.shape == (3, 2, 3)
    assert got[0, 1].tolist() == [255, 255, 255]
    assert got.sum() == 3 * 255


def test_images_that_cannot_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png: not a readable image"):
        images.read_image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"b\.png: no such image"):
        images.read_image(tmp_path / "b.png")


def test_a_truncated_image(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a readable image"):
        images.read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_frames(array):
    with pytest.raises(InputError, match="give uint8 HxW or HxWx3"):
        images.to_rgb(array)


def test_resize_frame_is_pils_bicubic():
    rgb = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    want = np.asarray(Image.fromarray(rgb).resize((16, 16), resample=Image.BICUBIC))
    got = images.resize_frame(rgb, 16)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, want)
