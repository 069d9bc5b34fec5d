"""Things of one clip on the frames of another."""

import dataclasses

import numpy as np
import pytest

from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.clips import make_clip
from c2g_jax.data.loader import ClipSource
from c2g_jax.data.pasting import paste
from c2g_jax.types import InputError
from tests.data.fake import fake_dataset

DATASET, _ = fake_dataset()
VIDEOS = DATASET.videos("train")
PLAIN = ClipConfig(
    task="segments",
    num_frames=2,
    image_size=48,
    max_objects=8,
    pasted=3,
    flip=0,
    brightness=0,
    contrast=0,
    saturation=0,
)


def clip(*segments):
    """A clip whose pixels tell its ids: frames are ten times the segments."""
    segments = np.array(segments, np.uint8)
    return {"frames": np.repeat(10 * segments[..., None], 3, -1), "segments": segments}


# A thing of one pixel, 1, on stuff, 2; the donor's thing 4 is a pair that moves right.
ONTO = clip([[2, 2, 2], [2, 1, 2], [2, 2, 2]], [[2, 2, 2], [2, 1, 2], [2, 2, 2]])
DONOR = clip([[4, 0, 0], [4, 0, 0], [3, 0, 0]], [[0, 4, 0], [0, 4, 0], [3, 0, 0]])
CROWD = np.arange(256) == 1


def pasted(behind):
    made = [
        paste(ONTO, DONOR, 4, 7, CROWD, behind, np.random.default_rng(seed))
        for seed in range(8)
    ]
    for one in made:
        sevens = one["segments"] == 7
        assert (one["frames"][sevens] == 40).all()
        same = one["frames"][~sevens] == ONTO["frames"][~sevens]
        assert same.all()
    return {one["segments"].tobytes() for one in made}


def of(*segments):
    return np.array(segments, np.uint8).tobytes()


def test_in_front_one_of_its_pixels_lies_on_a_thing_and_it_moves_as_it_did():
    assert pasted(behind=False) == {
        of([[2, 7, 2], [2, 7, 2], [2, 2, 2]], [[2, 2, 7], [2, 1, 7], [2, 2, 2]]),
        of([[2, 2, 2], [2, 7, 2], [2, 7, 2]], [[2, 2, 2], [2, 1, 7], [2, 2, 7]]),
    }


def test_behind_things_show_through():
    assert pasted(behind=True) == {
        of([[2, 7, 2], [2, 1, 2], [2, 2, 2]], [[2, 2, 7], [2, 1, 7], [2, 2, 2]]),
        of([[2, 2, 2], [2, 1, 2], [2, 7, 2]], [[2, 2, 2], [2, 1, 7], [2, 2, 7]]),
    }


def test_a_frame_without_things_and_edges():
    bare = clip([[2, 2]], [[2, 2]])
    giver = clip([[4, 4]], [[4, 4]])
    made = [
        paste(bare, giver, 4, 7, CROWD, False, np.random.default_rng(seed))
        for seed in range(12)
    ]
    rows = {tuple(one["segments"][0, 0].tolist()) for one in made}
    assert rows == {(7, 7), (7, 2), (2, 7)}  # what lies outside of the frame is lost


def test_what_is_pasted_has_a_free_id_its_class_and_can_be_chosen():
    config, found = PLAIN, 0
    donor = VIDEOS[1], int(config.starts(VIDEOS[1])[0])
    given = make_clip(DATASET, *donor, dataclasses.replace(config, pasted=0), _rng(0))
    for seed in range(12):
        start = int(config.starts(VIDEOS[0])[0])
        made = make_clip(DATASET, VIDEOS[0], start, config, _rng(seed), donor)
        new = np.setdiff1d(np.unique(made["segments"]), VIDEOS[0].object_ids)
        new = new[new > 0]
        assert len(new) <= 3
        colours = {int(x) for x in given["frames"][..., 2].ravel()}
        for as_id in new:
            found += 1
            assert made["categories"][as_id] in given["categories"]
            shown = made["frames"][made["segments"] == as_id]
            assert {int(x) for x in shown[:, 2]} <= colours
            if (made["segments"][0] == as_id).any():
                assert as_id in made["objects"]
    assert found > 5


def _rng(seed):
    return np.random.default_rng(seed)


def test_the_stream_pastes_where_it_is_asked_to():
    def ids(pasted):
        config = dataclasses.replace(PLAIN, pasted=pasted)
        source = ClipSource(DATASET, "train", config, 0)
        for number in range(8):
            made = source[number]
            assert made["segments"].tobytes() == source[number]["segments"].tobytes()
            own = DATASET.videos("train")[made["video_index"]].object_ids
            yield len(np.setdiff1d(np.unique(made["segments"]), [0, *own]))

    assert max(ids(3)) > 0
    assert max(ids(0)) == 0


@pytest.mark.parametrize("change", [{"pasted": -1}, {"task": "relations"}])
def test_relations_get_none(change):
    with pytest.raises(InputError, match="pasted"):
        dataclasses.replace(PLAIN, **change)
