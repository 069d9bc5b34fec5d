"""Reading frames and videos of a data set: the right ones, and no more than asked."""

import pickle

import numpy as np
import pytest

from c2g_jax.data import dataset as module
from c2g_jax.data.dataset import Dataset, open_dataset
from c2g_jax.data.graph import true_graph
from c2g_jax.evaluation.heuristic import heat_map
from c2g_jax.evaluation.overlaps import coded_frames
from c2g_jax.types import InputError
from tests.data.fake import VOCABULARY, fake_dataset, frames_of

DATASET, DRAWN = fake_dataset()


def test_splits_join_the_sources():
    assert DATASET.splits == ("toy_train", "more_train", "toy_val")
    assert DATASET.sources == ("toy", "more")
    joined = DATASET.videos("train")
    assert joined == DATASET.videos("toy_train") + DATASET.videos("more_train")
    assert DATASET.videos("val") == DATASET.videos("toy_val")
    with pytest.raises(InputError, match="no split 'test': use one of train, val, toy"):
        DATASET.videos("test")


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (7, 9), (5, 20), (12, 13)])
def test_read_gives_the_frames_asked_for(start, stop):
    for number, video in enumerate(DATASET.videos("more_train")):
        if stop > video.num_frames:
            with pytest.raises(ValueError, match=f"which has {video.num_frames} "):
                DATASET.read(video, start, stop)
            continue
        frames, segments = DATASET.read(video, start, stop)
        drawn = DRAWN[video.video_id]
        np.testing.assert_array_equal(segments, drawn[start:stop])
        np.testing.assert_array_equal(frames, frames_of(drawn, number)[start:stop])
        assert frames.shape == (stop - start, video.height, video.width, 3)


def test_frames_come_in_the_order_asked_for():
    video = DATASET.videos("toy_val")[1]
    _, segments = DATASET.read_frames(video, [17, 3, 3, 9])
    np.testing.assert_array_equal(segments, DRAWN[video.video_id][[17, 3, 3, 9]])


@pytest.mark.parametrize("numbers", [[], [-1, 0], [0, 9]])
def test_missing_frames_are_refused(numbers):
    video = DATASET.videos("toy_val")[0]
    with pytest.raises(ValueError, match="which has 9 "):
        DATASET.read_frames(video, numbers)


def test_no_other_frame_is_decoded(monkeypatch):
    decoded = []

    def count(data, mode=None):
        decoded.append(mode)
        return np.zeros((2, 2))

    monkeypatch.setattr(module, "_decode", count)
    DATASET.read(DATASET.videos("toy_val")[1], 6, 12)
    assert len(decoded) == 12  # six frames, six masks


def test_rows_of_another_video_are_refused():
    video = DATASET.videos("toy_val")[1]
    rows = {"toy_val": DATASET._chunks["toy_val"][1:]}
    shifted = Dataset("fake", VOCABULARY, {"toy_val": (video,)}, rows)
    with pytest.raises(
        InputError, match=r"holds toy_val-1 from frame 8, not .* frame 0"
    ):
        shifted.read(video, 0, 2)


def test_a_data_set_can_be_pickled():
    copy = pickle.loads(pickle.dumps(DATASET))
    video = copy.videos("toy_val")[2]
    np.testing.assert_array_equal(copy.read(video, 3, 9)[1], DRAWN["toy_val-2"][3:9])


def test_texts_of_a_video():
    video = DATASET.videos("toy_val")[0]
    assert video.summary == "A drawn video."
    assert video.captions == ({"time": "0000-0008", "description": "It moves."},)
    assert video.questions == ()
    assert video.status.shape == (0, 3)


def test_a_missing_data_set_is_named(tmp_path):
    with pytest.raises(InputError, match=r"c2g_jax\.prepare --manual_dir=DOWNLOAD --d"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match=r"c2g_jax\.prepare --toy --data_dir="):
        open_dataset(tmp_path, "toy_pvsg")


def test_masks_are_read_without_decoding_a_picture(monkeypatch):
    video = DATASET.videos("val")[1]
    numbers = [17, 3, 3, 9]
    _, want = DATASET.read_frames(video, numbers)
    decode = module._decode

    def masks_alone(data, mode=None):
        assert mode is None
        return decode(data)

    monkeypatch.setattr(module, "_decode", masks_alone)
    np.testing.assert_array_equal(DATASET.read_masks(video, numbers), want)
    with pytest.raises(ValueError, match="frames"):
        DATASET.read_masks(video, [999])
    # What needs masks alone reads masks alone.
    assert heat_map(DATASET, "train", 4).sum() > 0
    assert dict(coded_frames(DATASET, video, [3, 9], {1, 2}))
    assert true_graph(DATASET, video).objects
