import numpy as np
import pytest
from PIL import Image

from c2g_jax.media import images
from c2g_jax.media.masks import to_mask
from c2g_jax.media.video import open_video
from c2g_jax.types import InputError


def test_frame_files_in_natural_order_without_strays(tmp_path):
    for name in ("10.jpg", "2.JPG", "1.png", ".DS_Store", "._1.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "5.png").mkdir()
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


SCENE = np.zeros((32, 48, 3), np.uint8)
SCENE[:16, :24], SCENE[:16, 24:], SCENE[16:, :24] = (240, 30, 60), 160, (20, 90, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_all_orientations_of_exif(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(SCENE).save(path, exif=exif, quality=95)
    # Mirror left to right first, then turn counter-clockwise by right angles.
    want = SCENE[:, ::-1] if orientation in (2, 4, 5, 7) else SCENE
    want = np.rot90(want, [0, 0, 2, 2, 1, 3, 3, 1][orientation - 1])
    with Image.open(path) as image:
        (listed,) = open_video([image])
    (opened,) = open_video(path)
    for rgb in (images.read_image(path), listed.rgb, opened.rgb):
        assert rgb.shape == want.shape
        assert np.abs(rgb.astype(int) - want).mean() < 6  # of the encoding


@pytest.mark.parametrize(
    "mode",
    ["RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "P", "PA"],
)
def test_pil_images_of_every_mode_with_colours(mode):
    image = Image.fromarray(SCENE)
    image = image.convert("RGBA") if mode == "RGBa" else image
    if mode == "PA":
        image = image.convert("P")
    rgb = images.to_rgb(image.convert(mode))
    assert rgb.dtype == np.uint8
    # A palette of few colours; HSV in 8 bits.
    assert np.abs(rgb.astype(int) - SCENE).max() <= (60 if mode in ("P", "PA") else 5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I", "I;16", "I;16B"])
def test_pil_images_of_grey(mode):
    grey = (SCENE[..., 0] > 100).astype(np.uint8) * 255
    scale = 257 if mode.startswith("I;") else 1
    if mode.startswith("I"):
        kind = {"I": "<i4", "I;16": "<u2", "I;16B": ">u2"}[mode]
        data = (grey.astype(np.int64) * scale).astype(kind).tobytes()
        image = Image.frombytes(mode, (48, 32), data)
    else:
        image = Image.fromarray(grey).convert(mode)
    np.testing.assert_array_equal(images.to_rgb(image), grey[..., None].repeat(3, 2))


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_pil_images_without_plain_colours(mode):
    with pytest.raises(InputError, match=f"has the mode {mode}: convert it to RGB"):
        images.to_rgb(Image.new(mode, (4, 4)))
    with pytest.raises(InputError, match="levels from 0 to 70000: scale them"):
        images.to_rgb(Image.fromarray(np.int32([[0, 70_000]])))


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
    for read in (images.to_rgb, to_mask):
        with (
            Image.open(tmp_path / "a.png") as image,
            pytest.raises(InputError, match=r"cannot be read .*: open it again"),
        ):
            read(image)
    image = Image.open(tmp_path / "a.png")
    image.close()
    with pytest.raises(InputError, match="cannot be read"):
        images.to_rgb(image)


def test_what_numpy_cannot_take():
    class Tensor:
        def __array__(self, *_, **__):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    for read in (images.to_rgb, to_mask):
        with pytest.raises(InputError, match="no array: Can't call numpy"):
            read(Tensor())
    for mode in ("1", "L", "P", "I", "RGBA"):
        with pytest.raises(InputError, match="no pixels, it is 0x5"):
            to_mask(Image.new(mode, (0, 5)))


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
