"""A toy SAM2.1 that finds an object everywhere, and features of a drawn video."""

import jax
import numpy as np
import pytest

from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from tests.small_sam2 import embolden

SIZE = 128


@pytest.fixture(scope="session")
def toy():
    config = sam2_config("toy", SIZE)
    return embolden(initialise(abstract_sam2(config), seed=0))


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
    """A function: call another and return how many XLA programs that compiled."""

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
