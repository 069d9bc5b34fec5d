"""The image predictor as its users call it."""

import numpy as np
import pytest
from PIL import Image

from c2g_jax.sam2.predictors.image import Sam2ImagePredictor, decode_prompts
from c2g_jax.types import InputError

POINT = dict(point_coords=np.array([[25, 45]]), point_labels=np.array([1]))


@pytest.fixture(scope="module")
def predictor(toy, frames):
    predictor = Sam2ImagePredictor(toy)
    predictor.set_image(frames[0])
    return predictor


def test_shapes_are_those_that_people_know(predictor):
    masks, ious, logits = predictor.predict(**POINT)
    assert masks.shape == (3, 96, 160)
    assert masks.dtype == bool
    assert ious.shape == (3,)
    assert logits.shape == (3, 32, 32)
    masks, ious, logits = predictor.predict(**POINT, multimask_output=False)
    assert (masks.shape, ious.shape, logits.shape) == ((1, 96, 160), (1,), (1, 32, 32))
    floats, _, _ = predictor.predict(**POINT, return_logits=True)
    assert floats.dtype == np.float32
    best, _, _ = predictor.predict(**POINT)
    np.testing.assert_array_equal(floats > 0, best)
    assert predictor.get_image_embedding().shape == (1, 8, 8, 128)


def test_a_pil_image_and_relative_points_give_the_same(toy, frames, predictor):
    other = Sam2ImagePredictor(toy)
    other.set_image(Image.fromarray(frames[0]))
    masks, ious, _ = other.predict(
        point_coords=np.array([[25 / 160, 45 / 96]]),
        point_labels=np.array([1]),
        normalize_coords=False,
    )
    expected, expected_ious, _ = predictor.predict(**POINT)
    np.testing.assert_allclose(ious, expected_ious, atol=1e-6)
    assert np.mean(masks != expected) < 1e-3


def test_boxes_of_many_objects_are_many_answers(predictor):
    boxes = np.array([[10, 30, 40, 60], [5, 5, 150, 90], [60, 20, 90, 50]])
    masks, ious, logits = predictor.predict(box=boxes, multimask_output=False)
    assert masks.shape == (3, 1, 96, 160)
    assert ious.shape == (3, 1)
    for row, box in enumerate(boxes):
        alone, iou, one = predictor.predict(box=box, multimask_output=False)
        assert alone.shape == (1, 96, 160)
        np.testing.assert_allclose(logits[row], one, atol=2e-3)
        np.testing.assert_allclose(ious[row], iou, atol=1e-5)


def test_a_box_beside_points_and_an_earlier_answer(predictor):
    box = np.array([10, 30, 40, 60])
    _, _, logits = predictor.predict(box=box, multimask_output=False)
    both, _, _ = predictor.predict(**POINT, box=box, multimask_output=False)
    refined, _, _ = predictor.predict(
        **POINT, box=box, mask_input=logits, multimask_output=False
    )
    assert both.shape == refined.shape == (1, 96, 160)
    only_mask, _, _ = predictor.predict(mask_input=logits, multimask_output=False)
    assert only_mask.shape == (1, 96, 160)


def test_a_batch_of_images_of_two_sizes(toy, frames):
    small = frames[1][:60, :90]
    predictor = Sam2ImagePredictor(toy)
    predictor.set_image_batch([frames[0], small])
    points = [np.array([[25, 45]]), np.array([[30, 40]])]
    labels = [np.array([1]), np.array([1])]
    masks, ious, logits = predictor.predict_batch(points, labels)
    assert [mask.shape for mask in masks] == [(3, 96, 160), (3, 60, 90)]
    predictor.set_image(small)
    alone, iou, _ = predictor.predict(points[1], labels[1])
    np.testing.assert_allclose(ious[1], iou, atol=1e-5)
    assert np.mean(masks[1] != alone) < 1e-3
    assert len(logits) == 2


def test_a_new_image_gives_new_masks(toy, frames):
    predictor = Sam2ImagePredictor(toy)
    answers = []
    for frame in (frames[0], frames[9]):
        predictor.set_image(frame)
        answers.append(predictor.predict(**POINT, return_logits=True)[0])
    assert not np.allclose(*answers)


def test_holes_and_specks_are_mended_on_request(toy, frames, monkeypatch):
    import c2g_jax.sam2.predictors.image as module

    logits = np.full((1, 1, 32, 32), -5, np.float32)
    logits[0, 0, 4:20, 4:20] = 5
    logits[0, 0, 10, 10] = -5  # a hole of one
    logits[0, 0, 28, 28] = 5  # a speck of one
    fake = ((logits, np.ones((1, 1))), (np.repeat(logits, 3, 1), np.ones((1, 3))))
    monkeypatch.setattr(module, "decode_prompts", lambda *_: fake)
    plain, mended = Sam2ImagePredictor(toy), Sam2ImagePredictor(toy, 0.0, 1, 1)
    for predictor in (plain, mended):
        predictor.set_image(frames[0])
    before = plain.predict(**POINT, return_logits=True, multimask_output=False)[0]
    after = mended.predict(**POINT, return_logits=True, multimask_output=False)[0]
    hole, speck = (0, 31, 52), (0, 85, 142)
    assert before[hole] < 0 < after[hole]
    assert after[speck] < 0 < before[speck]


def test_numbers_of_points_and_objects_compile_by_bucket(predictor):
    before = decode_prompts._cache_size()
    for count in (1, 2, 3, 4, 5, 7, 8):
        coords = np.linspace(5, 90, 2 * count).reshape(count, 2)
        predictor.predict(coords, np.ones(count))
    # Buckets of 1, 2, 4 and 8 points; some were met before.
    assert decode_prompts._cache_size() - before <= 4


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "no prompt"),
        ({"point_coords": [[1, 2]]}, "together"),
        ({"box": [10, 10, 10, 20]}, "empty"),
        ({"box": [30, 10, 10, 20]}, "x1 < x2"),
        ({"box": [30, 10, 40]}, "finite x1, y1"),
        ({"box": [30, 10, np.nan, 40]}, "finite x1, y1"),
        ({"point_coords": [[1, np.nan]], "point_labels": [1]}, "finite"),
        ({"point_coords": [[1, 2]], "point_labels": [4]}, "labels 1"),
        ({"point_coords": [[1, 2]], "point_labels": [1, 0]}, "label"),
        ({"mask_input": np.zeros((1, 9, 9))}, "1x32x32"),
        (
            {
                "box": [[1, 1, 9, 9], [2, 2, 8, 8]],
                "point_coords": [[[1, 2]], [[1, 2]], [[1, 2]]],
                "point_labels": [[1], [1], [1]],
            },
            "2 boxes are given with 3",
        ),
    ],
)
def test_bad_prompts_are_named(predictor, arguments, word):
    with pytest.raises(InputError, match=word):
        predictor.predict(**arguments)


def test_predicting_without_an_image_is_named(toy):
    with pytest.raises(InputError, match="set_image"):
        Sam2ImagePredictor(toy).predict(**POINT)
    with pytest.raises(InputError, match="at least one"):
        Sam2ImagePredictor(toy).set_image_batch([])
