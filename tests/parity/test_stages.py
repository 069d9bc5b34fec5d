"""Every stage of the image path equals the reference, at every size."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sam2")

from c2g_jax.sam2.prompts import pad_points
from porting.compare import assert_within
from porting.stages import PointPrompt, batch_prompts, image_rows, prompt_rows
from porting.suite import standard_prompts

pytestmark = pytest.mark.parity

# At 256 pixels the windows of stages 3 and 4 need padding (not toy's), at 224 none do.
CASES = [
    ("toy", 256),
    ("toy", 96),
    ("tiny", 256),
    ("tiny", 224),
    ("small", 224),
    ("base_plus", 256),
]


@pytest.mark.parametrize(("size", "image_size"), CASES)
def test_image_encoder(clip_of, size, image_size):
    rows = image_rows(clip_of(size, image_size))
    assert [row.stage for row in rows][:2] == ["patch embedding", "position embedding"]
    assert len(rows) == 2 + 4 + 4 + 3
    assert_within(rows)


@pytest.mark.parametrize(
    ("size", "image_size"), [CASES[0], CASES[2], CASES[4], CASES[5]]
)
def test_prompts_and_decoder(clip_of, size, image_size):
    assert_within(prompt_rows(clip_of(size, image_size), standard_prompts(image_size)))


def test_tiny_image_encoder_at_its_own_size(clip_of):
    assert_within(image_rows(clip_of("tiny", 1024, num_frames=1)))


@pytest.mark.parametrize("size", ["toy", "tiny"])
def test_many_points(clip_of, size):
    rng = np.random.default_rng(3)
    prompts = [
        PointPrompt(256 * rng.random((count, 2)), rng.integers(0, 2, count))
        for count in (1, 3, 9)
    ]
    assert pad_points([(p.points, p.labels) for p in prompts])[1].shape == (3, 16)
    assert_within(prompt_rows(clip_of(size, 256), prompts))


@pytest.mark.parametrize("size", ["toy", "tiny"])
def test_both_sides_of_every_branch_occur(clip_of, size):
    """Otherwise the tests above would compare one side of a branch only."""
    import jax

    from c2g_jax.sam2 import mask_decoder, track

    clip = clip_of(size, 256)
    batch = batch_prompts(standard_prompts(256), 64)
    ours, features = clip.pair.ours, clip.features(0)
    answer = jax.jit(track.segment)(ours, features, batch)
    decode = jax.jit(lambda m, f, p: m.decode(m.without_memory(f), f, p))
    decoded = decode(ours, features, batch)

    present = np.asarray(answer.object_score) > 0
    single = np.asarray(batch.num_points) > 1
    delta = clip.pair.config.stability_delta
    stability = np.asarray(mask_decoder.stability(decoded.logits[:, 0], delta))
    stable = stability[single] >= clip.pair.config.stability_threshold
    assert set(present) == {True, False}
    assert set(single) == {True, False}
    assert set(stable) == {True, False}
    # No score is so near 0 that rounding decides.
    assert np.abs(answer.object_score).min() > 1e-3
    masks = np.asarray(answer.mask_logits)[present] > 0
    assert ((masks.mean(axis=(1, 2)) > 0.02) & (masks.mean(axis=(1, 2)) < 0.98)).all()
