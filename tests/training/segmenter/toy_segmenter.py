"""The smallest SAM2.1, and a clip that it can learn."""

import numpy as np

from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.sam2.model import Sam2, abstract_sam2
from tests.small_sam2 import one_block_config

SIZE = 64


def small_sam2() -> Sam2:
    """The toy SAM2.1 with one block a stage, quick to compile."""
    config = one_block_config(
        SIZE,
        embed_dim=16,
        d_model=32,
        mem_dim=16,
        decoder_heads=2,
        decoder_mlp_dim=64,
        iou_head_dim=32,
        memory_mlp_dim=64,
    )
    return initialise(abstract_sam2(config), seed=0)


def two_squares() -> dict[str, np.ndarray]:
    """Two bright squares over noise; the second is gone on the second frame."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 60, (1, 2, SIZE, SIZE, 3), np.uint8)
    segments = np.zeros((1, 2, SIZE, SIZE), np.uint8)
    for t in range(2):
        segments[0, t, 8 + 4 * t : 32 + 4 * t, 6:30] = 5
    segments[0, 0, 36:58, 34:60] = 9
    frames[segments == 5] = (220, 60, 40)
    frames[segments == 9] = (40, 90, 230)
    categories = np.full((1, 256), -1, np.int32)
    categories[0, [5, 9]] = 2, 7
    objects = np.array([[5, 9, 0]], np.int32)
    holds = np.zeros((1, 3, 3, 2, 4), bool)
    holds[0, 0, 1, :, 2] = True
    return dict(
        frames=frames,
        segments=segments,
        objects=objects,
        categories=categories,
        holds=holds,
    )
