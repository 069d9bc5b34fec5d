"""Prompts inside and outside the frame: the same rule for images and videos."""

import numpy as np
import pytest

from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors.image import Sam2ImagePredictor
from c2g_jax.sam2.predictors.user_prompts import points_and_box
from c2g_jax.sam2.prompts import pad_points
from c2g_jax.types import InputError

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
            image_size, low_res_size = 64, 16

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


def test_a_box_that_reaches_outside_is_refused_by_both(image_predictor):
    box = [10, 10, 161, 20]
    words = "161,20 lies outside the frame, 160x96 pixels: give x from 0 to below 160"
    with pytest.raises(InputError, match=words):
        image_predictor.predict(box=box)
    with pytest.raises(InputError, match=words):
        ask_video(box=box)


def test_where_a_place_holder_lies_does_not_matter(image_predictor):
    ask_image(image_predictor, [[-9.0, 999.0], [5, 5]], [-1, 1])


def test_more_points_than_fit_are_named():
    many = (np.zeros((65, 2), np.float32), np.ones(65, np.int32))
    with pytest.raises(InputError, match=r"65 points .*: give at most 64"):
        pad_points([many])
