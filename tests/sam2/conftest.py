"""A toy SAM2.1 that sees an object everywhere, made once; scripted automatic masks."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.sam2.predictors import automatic_masks as mask_generator
from c2g_jax.sam2.predictors.automatic_masks import Sam2AutomaticMaskGenerator
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from tests.small_sam2 import embolden

SIZE = 128


@pytest.fixture(scope="session")
def toy():
    config = sam2_config("toy", SIZE)
    return embolden(initialise(abstract_sam2(config), seed=0))


@pytest.fixture(scope="session")
def predictor(toy):
    """The toy as a predictor of videos."""
    return Sam2VideoPredictor(toy)


@pytest.fixture(scope="session")
def frames():
    """A bright square that moves right over noise: uint8 [10, 96, 160, 3]."""
    rng = np.random.default_rng(0)
    video = rng.integers(0, 80, (10, 96, 160, 3), np.uint8)
    for t, frame in enumerate(video):
        frame[30:60, 10 + 8 * t : 40 + 8 * t] = (220, 200, 40)
    return video


@pytest.fixture(scope="session")
def features(toy, frames):
    """Features of each frame, at the toy size."""
    from c2g_jax.media.images import resize_frame
    from c2g_jax.sam2.track import encode_frame

    return [encode_frame(toy, resize_frame(frame, SIZE)) for frame in frames]


@pytest.fixture
def count_compilations():
    """A function that runs another and returns how many XLA programs that compiled."""

    def count(run) -> int:
        compiled = []

        def listen(event: str, *_, **__) -> None:
            if event == "/jax/core/compile/backend_compile_duration":
                compiled.append(event)

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            run()
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)
        return len(compiled)

    return count


@pytest.fixture
def scripted(monkeypatch):
    """A function: a generator of masks whose model answers by `answer(x, y)`.

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

        monkeypatch.setattr(mask_generator, "_decode_points", decode)
        monkeypatch.setattr(mask_generator, "encode_images", lambda *_: None)
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
