"""Prompts inside and outside the frame: the same rule for images and videos."""

import numpy as np
import pytest

from c2g_jax.media.masks import to_mask
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors.image import Sam2ImagePredictor
from c2g_jax.sam2.predictors.mask_boxes import check_point_grids
from c2g_jax.sam2.predictors.user_prompts import points_and_box
from c2g_jax.sam2.prompts import pad_points
from c2g_jax.types import InputError, Prompt

SIZE = (160, 96)  # width, height
ON_IT = [[0, 0], [159.9, 95.9]]
OFF_IT = [(160, 10), (10, 96), (-0.5, 10), (10, -1), (1e30, 10), (np.nan, 10)]


class Answered(Exception):
    """The prompt was accepted, and the model would run now."""


@pytest.fixture
def image_predictor(monkeypatch):
    """A predictor with an image set, whose model is never run."""
    from c2g_jax.sam2.predictors import image as image_predictor

    def answer(*_):
        raise Answered

    monkeypatch.setattr(image_predictor, "decode_prompts", answer)

    class Model:
        class config:
            image_size, low_res_size, fused = 64, 16, False

    predictor = Sam2ImagePredictor(Model())
    predictor._features = FrameFeatures(np.zeros((1, 2)), ())
    predictor._sizes = [SIZE[::-1]]
    return predictor


def ask_image(predictor, points=None, labels=None, box=None, pixels=True):
    with pytest.raises(Answered):
        predictor.predict(points, labels, box, normalize_coords=pixels)


def ask_video(points=None, labels=None, box=None, pixels=True):
    points_and_box(points, labels, box, SIZE, pixels)


@pytest.mark.parametrize("pixels", [True, False])
def test_both_take_what_lies_in_the_frame(image_predictor, pixels):
    scale = np.array(SIZE) if pixels else np.ones(2)
    for point in ON_IT:
        point = np.float32([point]) / SIZE * scale
        ask_image(image_predictor, point, [1], pixels=pixels)
        ask_video(point, [1], pixels=pixels)
    box = np.concatenate([0 * scale, scale])  # the whole frame
    ask_image(image_predictor, box=box, pixels=pixels)
    ask_video(box=box, pixels=pixels)


@pytest.mark.parametrize("point", OFF_IT, ids=str)
@pytest.mark.parametrize("pixels", [True, False])
def test_both_refuse_what_lies_outside(image_predictor, point, pixels):
    point = np.float32([point]) / SIZE * (SIZE if pixels else 1)
    with pytest.raises(InputError, match=r"outside|finite"):
        image_predictor.predict(point, [1], normalize_coords=pixels)
    with pytest.raises(InputError, match="outside"):
        ask_video(point, [1], pixels=pixels)


@pytest.mark.parametrize("box", [[-20, -5, 200, 110], [150, 90, 161, 97]], ids=str)
@pytest.mark.parametrize("pixels", [True, False])
def test_a_box_may_reach_beyond_the_edges(image_predictor, box, pixels):
    """As detectors give them; its corners stay where they are, as upstream."""
    given = np.float32(box) / (1 if pixels else np.tile(SIZE, 2))
    ask_image(image_predictor, box=given, pixels=pixels)
    coords, labels = points_and_box(None, None, given, SIZE, pixels)
    np.testing.assert_allclose(coords * SIZE, np.reshape(box, (2, 2)), rtol=1e-5)
    assert labels.tolist() == [2, 3]


@pytest.mark.parametrize(
    "box", [[160, 10, 170, 20], [-9, 10, 0, 20], [10, 96, 20, 99], [1, -5, 9, -1]]
)
def test_a_box_beside_the_frame_is_refused_by_both(image_predictor, box):
    words = "lies outside the frame, 160x96 pixels: give one that overlaps it"
    with pytest.raises(InputError, match=words):
        image_predictor.predict(box=box)
    with pytest.raises(InputError, match=words):
        ask_video(box=box)


POINT, BOX = [[5, 5]], [1, 1, 9, 9]
BAD_IN_BOTH = [
    (dict(points=POINT, labels=[0.7]), "labels .0.7. are not whole"),
    (dict(points=POINT, labels=[np.nan]), "labels .nan. are not whole"),
    (dict(points=POINT, labels=["inside"]), "labels are"),
    (dict(points=[[1, 2], [3]], labels=[1, 1]), "points are .*one length"),
    (dict(points=[[5, 5, 5]], labels=[1]), r"points .*\(1, 3\)|\(1, 3\) points"),
    (dict(points=[[1, 2, 3], [4, 5, 6]], labels=[1, 1, 1]), r"\(2, 3\)"),
    (dict(points=[1, 2, 3, 4], labels=[1, 1]), r"\(4,\)"),
    (dict(points=[POINT * 2], labels=[[1]]), "label"),
    (dict(points="ab", labels=[1]), "points are 'ab'"),
    (dict(box="abcd"), "box are 'abcd'"),
    (dict(box=[[1, 2], [3]]), "box are"),
    (dict(box=[1, 2, 3]), "box"),
]


@pytest.mark.parametrize(("call", "words"), BAD_IN_BOTH, ids=str)
def test_both_name_what_is_no_prompt(image_predictor, call, words):
    with pytest.raises(InputError, match=words):
        ask_video(**call)
    call = {f"point_{k}" if k == "labels" else k: v for k, v in call.items()}
    call = {"point_coords" if k == "points" else k: v for k, v in call.items()}
    with pytest.raises(InputError, match=words):
        image_predictor.predict(**call)


def test_a_video_takes_one_box_in_every_shape_of_one():
    for box in (BOX, [BOX], np.reshape(BOX, (2, 2)), np.reshape(BOX, (1, 2, 2))):
        ask_video(box=box)
    with pytest.raises(InputError, match=r"\(2, 4\): give one object's x1, y1, x2, y2"):
        ask_video(box=[BOX, BOX])


def test_a_video_takes_points_as_upstream_does_and_a_single_one():
    for points, labels in (
        (POINT, [1]),
        ([POINT], [[1]]),
        (POINT[0], 1),
        (POINT, [1.0]),
        (POINT, [True]),
        (np.float64(POINT), np.int64([1])),
    ):
        coords, given = points_and_box(points, labels, None, SIZE, True)
        np.testing.assert_allclose(coords * SIZE, POINT, rtol=1e-6)
        assert given.tolist() == [1]


def test_where_a_place_holder_lies_does_not_matter(image_predictor):
    ask_image(image_predictor, [[-9.0, 999.0], [5, 5]], [-1, 1])


def test_more_points_than_fit_are_named():
    many = (np.zeros((65, 2), np.float32), np.ones(65, np.int32))
    with pytest.raises(InputError, match=r"65 points .*: give at most 64"):
        pad_points([many])


def test_tensors_with_a_gradient_are_refused_in_words(image_predictor):
    torch = pytest.importorskip("torch")
    points, box, logits, label = (
        torch.ones(shape, requires_grad=True)
        for shape in ((1, 2), (4,), (1, 16, 16), (1,))
    )
    plain = np.float32([[1, 1]])
    for ask in (
        lambda: ask_video(points, [1]),
        lambda: ask_video([points[0]], [1]),
        lambda: ask_video(plain, label),
        lambda: ask_video(box=box),
        lambda: image_predictor.predict(points, [1]),
        lambda: image_predictor.predict(box=box),
        lambda: image_predictor.predict(plain, [1], mask_input=logits),
        lambda: check_point_grids([points], 0),
        lambda: Prompt(0, 0, points),
        lambda: Prompt(0, 0, plain, label),
        lambda: Prompt(0, 0, box=box),
        lambda: Prompt(0, 0, mask=logits[0]),
        lambda: to_mask(logits[0]),
    ):
        with pytest.raises(InputError, match=r"no array: Can't call numpy.*detach"):
            ask()
