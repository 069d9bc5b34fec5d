"""Each implementation's own reader of frames, and masks at the video's size."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("sam2")

from sam2.utils.misc import load_video_frames

from c2g_jax.sam2.model import normalize_frames
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from porting.compare import assert_within, compare, compare_masks
from porting.reference import float32_memory
from porting.scenes import draw_video

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three JPEG frames of 300x170, larger and smaller than the model's 256."""
    path = tmp_path_factory.mktemp("frames")
    for index, frame in enumerate(draw_video(3, 170, 300)):
        Image.fromarray(frame).save(path / f"{index:05d}.jpg", quality=95)
    return path


def test_frames_are_resized_alike(folder, pair_of):
    images, height, width = load_video_frames(str(folder), 256, True)
    predictor = Sam2VideoPredictor(pair_of("toy", 256).ours)
    state = predictor.init_state(folder)
    assert (state.height, state.width) == (height, width) == (170, 300)
    ours = np.stack([state.reader.read(t) for t in range(3)])
    assert_within(
        [compare("frames", normalize_frames(ours), images.permute(0, 2, 3, 1).numpy())]
    )


def test_masks_come_at_the_videos_own_size(folder, pair_of):
    pair = pair_of("toy", 256)
    ours = Sam2VideoPredictor(pair.ours, fill_hole_area=0)
    prompt = dict(frame_idx=0, obj_id=1, box=[30, 40, 150, 130])
    with float32_memory():
        masks = []
        for predictor, path in ((ours, folder), (pair.reference, str(folder))):
            state = predictor.init_state(path)
            predictor.add_new_points_or_box(state, **prompt)
            steps = predictor.propagate_in_video(state)
            masks.append({t: np.asarray(mask) for t, _, mask in steps})
    assert [mask.shape for mask in masks[0].values()] == [(1, 1, 170, 300)] * 3
    assert masks[0].keys() == masks[1].keys()
    assert_within(
        [compare_masks(f"frame {t}", masks[0][t], masks[1][t]) for t in masks[0]]
    )


@pytest.mark.parametrize("side", [128, 512])
def test_a_mask_prompt_of_another_size_than_the_model(side, pair_of):
    """Resized with antialiasing, then thresholded at 0.5, as the reference does."""
    pair = pair_of("toy", 256)
    y, x = np.mgrid[0:side, 0 : side * 3 // 2] / side
    mask = (x - 0.6) ** 2 + (y - 0.5) ** 2 < 0.1
    frames = draw_video(2, side, side * 3 // 2)
    ours = Sam2VideoPredictor(pair.ours, fill_hole_area=0)
    state = ours.init_state(list(frames))
    answer = ours.add_new_mask(state, 0, 1, mask)

    from porting.pair import Clip

    clip = Clip(pair, frames)
    theirs = pair.reference.add_new_mask(clip.open_reference(), 0, 1, mask)
    assert_within([compare_masks("mask", answer.masks, theirs[2].numpy())])
