"""A toy SAM2.1 with random weights, made once, that sees an object everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.weights import initialise

SIZE = 128


@pytest.fixture(scope="session")
def toy():
    config = sam2_config("toy", SIZE)
    model = initialise(abstract_sam2(config), seed=0)
    decoder = model.sam_mask_decoder
    decoder.pred_obj_score_head.layers[-1].bias = nnx.Param(jnp.full(1, 10.0))
    # Random networks answer with faint masks: make them as bold as trained ones.
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.layers[-1].kernel = nnx.Param(20 * mlp.layers[-1].kernel[...])
    # As in a trained network, the memory should matter.
    for layer in model.memory_encoder.fuser.layers:
        layer.gamma = nnx.Param(jnp.full_like(layer.gamma[...], 0.5))
    return model


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
    from c2g_jax.images import resize_frame
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
