"""A video predictor, and automatic masks with scripted model outputs."""

from types import SimpleNamespace

import numpy as np
import pytest

from c2g_jax.sam2.predictors import automatic_masks
from c2g_jax.sam2.predictors.automatic_masks import Sam2AutomaticMaskGenerator
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor


@pytest.fixture(scope="session")
def predictor(toy):
    """The toy as a predictor of videos."""
    return Sam2VideoPredictor(toy)


@pytest.fixture
def scripted(monkeypatch):
    """A function: a mask generator whose model outputs are `answer(x, y)`.

    The model image has 128 pixels a side and masks of 32; `answer` takes a point of it
    and returns [(logits [32, 32], IoU), ...]. Points asked are in `.asked`.
    """

    def make(answer, **settings):
        asked = []

        def decode(model, features, points, multimask, use_m2m):
            asked.append(np.array(points))
            answers = [answer(x, y) for x, y in points]
            logits = np.float32([[mask for mask, _ in row] for row in answers])
            return logits, np.float32([[iou for _, iou in row] for row in answers])

        monkeypatch.setattr(automatic_masks, "_decode_points", decode)
        monkeypatch.setattr(automatic_masks, "encode_images", lambda *_: None)
        model = SimpleNamespace(config=SimpleNamespace(image_size=128))
        generator = Sam2AutomaticMaskGenerator(model, **settings)
        generator.asked = asked
        return generator

    return make


def block(y0, y1, x0, x1, inside=8.0, outside=-8.0):
    """Logits of such a model: a rectangle of its masks."""
    logits = np.full((32, 32), outside, np.float32)
    logits[y0:y1, x0:x1] = inside
    return logits
