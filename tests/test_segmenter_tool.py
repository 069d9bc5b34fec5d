"""`tools/segmenter.py`: IoUs of known masks."""

import runpy
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.sam2 import track
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.types import BOX_FIRST
from tests.commands import ROOT

SIZE = 64


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "segmenter.py"
    return runpy.run_path(str(path))


@pytest.fixture(scope="module")
def model():
    return initialise(abstract_sam2(sam2_config("toy", SIZE)), seed=0)


def test_true_masks_score_one_and_a_click_takes_the_surest(
    tool, toy_dataset, model, monkeypatch
):
    """One of the decoder's three candidates is the ground truth."""
    (video,) = toy_dataset.videos("val")[:1]
    middle = video.num_frames // 2
    _, (ids,) = toy_dataset.read_frames(video, [middle])
    seen = [i for i in video.object_ids.tolist() if (ids == i).any()]
    true = np.full((tool["MAX_OBJECTS"], *ids.shape), -8, np.float32)
    for row, object_id in enumerate(seen):
        true[row][ids == object_id] = 8

    def segment(model, features, prompts):
        by_box = prompts.point_labels[0, 0] == BOX_FIRST
        n = np.zeros(tool["MAX_OBJECTS"], np.float32)
        candidates = np.stack([-true, true, -true], axis=1)
        return track.Segmentation(true if by_box else -true, n, n, n, candidates, n)

    monkeypatch.setattr(jax, "jit", lambda function: segment)
    found = tool["prompted_ious"](model, toy_dataset, [video])
    rows = np.array(found["all"])
    assert rows.shape == (len(seen), 3)
    np.testing.assert_allclose(rows[:, 1:], 1)
    assert (rows[:, 0] < 0.6).all()
    assert len(found["things"]) == sum(video.is_thing[video.row(i)] for i in seen)
    assert len(found["subjects"]) <= len(found["things"])
    assert sum(len(found[kind]) for kind in tool["CROWDS"]) == len(found["things"])
    tool["show_prompted"](found)


def test_crowding_is_the_share_of_a_box_that_other_things_cover(tool):
    segments = np.array([[1, 2, 3], [1, 1, 3], [4, 4, 4]], np.uint8)
    video = SimpleNamespace(
        object_ids=np.array([1, 2, 3, 4]), is_thing=np.array([True, True, True, False])
    )
    shares = [tool["crowding"](segments, video, i) for i in (1, 2, 3, 4)]
    assert shares == [1 / 4, 0, 0, 0]


def test_a_followed_mask_is_compared_with_one_left_behind(tool, toy_dataset, model):
    (video,) = toy_dataset.videos("val")[:1]
    found = tool["tracked_ious"](model, toy_dataset, [video])
    assert set(found) <= set(range(1, video.num_frames))
    _, segments = toy_dataset.read_frames(video, [0, 5])
    named = np.unique(video.relations[:, :2])
    ids = [i for i in named.tolist() if (segments[0] == i).any()]
    want = []
    for object_id in ids:
        then, now = (segment == object_id for segment in segments)
        if now.any():
            want.append((then & now).sum() / (then | now).sum())
    still = [pair[1] for pair in found[5]]
    np.testing.assert_allclose(still, want)
    assert all(0 <= pair[0] <= 1 for pairs in found.values() for pair in pairs)
