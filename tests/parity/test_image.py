"""The image predictors, from an image of any shape to masks of its own size."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sam2")

from c2g_jax.sam2.predictors.image import Sam2ImagePredictor
from porting.compare import assert_within, compare, compare_masks
from porting.scenes import draw_video

pytestmark = pytest.mark.parity

HEIGHT, WIDTH = 150, 230
POINTS = np.array([[70.0, 75.0], [160.0, 40.0]])
BOX = np.array([20.0, 40.0, 110.0, 120.0])
EARLIER = 10 * np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)

ASKED = {
    "point": dict(point_coords=POINTS[:1], point_labels=np.array([1])),
    "points": dict(point_coords=POINTS, point_labels=np.array([1, 0])),
    "box": dict(box=BOX),
    "box and point": dict(box=BOX, point_coords=POINTS[:1], point_labels=np.array([1])),
    "point and mask": dict(
        point_coords=POINTS[:1], point_labels=np.array([1]), mask_input=EARLIER
    ),
    "mask": dict(mask_input=EARLIER),
    "boxes": dict(box=np.stack([BOX, BOX + 30, BOX / 2])),
    "normalised": dict(
        point_coords=POINTS / [WIDTH, HEIGHT],
        point_labels=np.array([1, 1]),
        normalize_coords=False,
    ),
}


@pytest.fixture(scope="module", params=["toy", "tiny"])
def both(request, pair_of, image_reference):
    """Both predictors with one image set."""
    pair = pair_of(request.param, 256)
    predictors = Sam2ImagePredictor(pair.ours), image_reference(pair)
    image = draw_video(1, HEIGHT, WIDTH)[0]
    for predictor in predictors:
        predictor.set_image(image)
    return predictors


def test_embedding(both):
    ours, theirs = (predictor.get_image_embedding() for predictor in both)
    assert_within([compare("embedding", ours, theirs.permute(0, 2, 3, 1).numpy())])


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("name", ASKED)
def test_predict(both, name, multimask):
    asked = dict(ASKED[name], multimask_output=multimask)
    ours, theirs = (
        predictor.predict(**asked, return_logits=True) for predictor in both
    )
    assert ours[0].shape[-2:] == (HEIGHT, WIDTH)
    assert_within(
        [
            compare_masks("masks", ours[0], theirs[0]),
            compare("IoU", ours[1], theirs[1]),
            compare("low-resolution logits", ours[2], theirs[2]),
        ]
    )
    masks = both[0].predict(**asked)[0]
    assert masks.dtype == bool
    assert np.array_equal(masks, ours[0] > 0)


def test_a_batch_of_images_of_several_shapes(pair_of, image_reference):
    pair = pair_of("toy", 256)
    images = [draw_video(1, *size, seed=3)[0] for size in ((90, 120), (200, 50))]
    asked = dict(
        point_coords_batch=[np.array([[40.0, 30.0]]), np.array([[20.0, 150.0]])],
        point_labels_batch=[np.array([1]), np.array([1])],
        return_logits=True,
    )
    answers = []
    for predictor in (Sam2ImagePredictor(pair.ours), image_reference(pair)):
        predictor.set_image_batch(images)
        answers.append(predictor.predict_batch(**asked))
    for ours, theirs in zip(answers[0][0], answers[1][0], strict=True):
        assert_within([compare_masks("masks", ours, theirs)])
    assert [masks.shape for masks in answers[0][0]] == [(3, 90, 120), (3, 200, 50)]


def test_an_image_enlarged_to_the_model(pair_of, image_reference):
    """Antialiasing has no effect on enlarging."""
    pair = pair_of("toy", 256)
    image = draw_video(1, 40, 60, seed=5)[0]
    embeddings = []
    for predictor in (Sam2ImagePredictor(pair.ours), image_reference(pair)):
        predictor.set_image(image)
        embeddings.append(np.asarray(predictor.get_image_embedding()))
    theirs = np.moveaxis(embeddings[1], 1, -1)
    assert_within([compare("embedding", embeddings[0], theirs)])
