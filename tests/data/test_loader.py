"""The stream of batches: deterministic, sharded, resumed bit for bit."""

import json
from collections import Counter

import numpy as np
import pytest

from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.dataset import Dataset
from c2g_jax.data.loader import clip_loader
from c2g_jax.types import InputError
from tests.data.fake import fake_dataset

DATASET, _ = fake_dataset()
CONFIG = ClipConfig(image_size=32)
SEGMENTS = ClipConfig(task="segments", image_size=32)


def loader(config=CONFIG, batch_size=2, seed=5, **options):
    return clip_loader(DATASET, "train", config, batch_size, seed, **options)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def places(batches):
    """(video, start) of every clip."""
    return [
        place
        for batch in batches
        for place in zip(
            batch["video_index"].tolist(), batch["start"].tolist(), strict=True
        )
    ]


@pytest.fixture(scope="module")
def plain():
    return take(iter(loader()), 12)


def test_shapes_are_fixed(plain):
    want = {
        "frames": ("uint8", (2, 8, 32, 32, 3)),
        "segments": ("uint8", (2, 8, 32, 32)),
        "subjects": ("int32", (2, 3)),
        "subject_labels": ("int32", (2, 3)),
        "objects": ("int32", (2, 3, 8)),
        "object_labels": ("int32", (2, 3, 8)),
        "predicates": ("bool", (2, 3, 8, 8, 57)),
        "points": ("float32", (2, 3, 8, 8, 2)),
        "point_valid": ("bool", (2, 3, 8, 8)),
        "prompt_kind": ("int32", (2, 3)),
        "prompt_coords": ("float32", (2, 3, 2, 2)),
        "prompt_labels": ("int32", (2, 3, 2)),
        "overflow": ("int32", (2,)),
        "video_index": ("int32", (2,)),
        "start": ("int32", (2,)),
    }
    for batch in plain:
        got = {key: (str(a.dtype), a.shape) for key, a in batch.items()}
        assert got == want
    segments = next(iter(loader(SEGMENTS)))
    got = {key: (str(a.dtype), a.shape) for key, a in segments.items()}
    assert got == {
        **{key: want[key] for key in ("frames", "segments", "video_index", "start")},
        "objects": ("int32", (2, 3)),
        "categories": ("int32", (2, 256)),
        "holds": ("bool", (2, 3, 3, 8, 57)),
    }


def test_the_same_seed_gives_the_same_batches(plain):
    assert_same(take(iter(loader()), 12), plain)
    assert places(take(iter(loader(seed=6)), 6)) != places(plain)[:12]


def test_an_epoch_has_one_clip_of_every_usable_video():
    source = loader().source
    usable = sorted(source.starts)
    assert 0 < len(usable) == source.clips < len(source.videos)
    epochs = []
    for epoch in range(3):
        numbers = range(epoch * source.clips, (epoch + 1) * source.clips)
        clips = [source[i] for i in numbers]
        epochs.append([(int(c["video_index"]), int(c["start"])) for c in clips])
        assert sorted(i for i, _ in epochs[-1]) == usable
        for index, start in epochs[-1]:
            assert start in CONFIG.starts(source.videos[index])
    orders = [[i for i, _ in epoch] for epoch in epochs]
    assert orders[0] != orders[1] != orders[2]
    assert dict(epochs[0]) != dict(epochs[1])  # other clips of the same videos


@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_resume_is_exact(plain, at):
    iterator = iter(loader())
    take(iterator, at)
    state = json.loads(json.dumps(iterator.get_state()))
    take(iterator, 1)  # what comes after the state was saved does not matter
    resumed = iter(loader())
    resumed.set_state(state)
    assert resumed.get_state() == state
    assert_same(take(resumed, 12 - at), plain[at:])


def test_an_iterator_can_go_back(plain):
    iterator = iter(loader())
    assert_same(take(iterator, 3), plain[:3])
    state = iterator.get_state()
    take(iterator, 2)
    iterator.set_state(state)
    assert_same(take(iterator, 3), plain[3:6])


def test_workers_give_the_same_and_resume_as_exactly(plain):
    """From a state that was saved without workers, to one that goes on without."""
    iterator = iter(loader())
    take(iterator, 3)
    state = iterator.get_state()
    iterator = iter(loader(num_workers=2))
    iterator.set_state(state)
    assert_same(take(iterator, 5), plain[3:8])
    state = iterator.get_state()
    iterator.close()
    resumed = iter(loader())
    resumed.set_state(state)
    assert_same(take(resumed, 4), plain[8:])


@pytest.mark.parametrize("count", [2, 3])
def test_shards_partition_the_stream(plain, count):
    source = loader().source
    epochs = 2 * count  # ends where all shards are through the same epochs
    clips = source.clips * epochs
    shards = [
        places(take(iter(loader(SMALL, 1, shard=(i, count))), clips // count))
        for i in range(count)
    ]
    whole = places(take(iter(loader(SMALL, 1)), clips))
    assert [shards[i % count][i // count] for i in range(clips)] == whole
    videos = Counter(index for shard in shards for index, _ in shard)
    assert videos == dict.fromkeys(source.starts, epochs)


SMALL = ClipConfig(image_size=8, max_subjects=1, max_objects=1)


def test_a_shard_resumes_as_well():
    whole = take(iter(loader(SMALL, 2, shard=(1, 2))), 6)
    resumed = iter(loader(SMALL, 2, shard=(1, 2)))
    resumed.set_state({**resumed.get_state(), "batches": 4})
    assert_same(take(resumed, 2), whole[4:])


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (dict(seed=6), "seed 6, this run 5"),
        (dict(batch_size=3), "batch_size 3, this run 2"),
        (dict(shard=(1, 2)), r"shard \[1, 2\], this run \[0, 1\]"),
        (dict(config=SEGMENTS), "task segments, this run relations"),
    ],
)
def test_a_state_of_another_stream_is_refused(other, named):
    if named.startswith("task"):
        clips = loader().source.clips
        state = {**iter(loader(**other)).get_state(), "clips": clips}
    else:
        state = iter(loader(**other)).get_state()
    with pytest.raises(InputError, match=named):
        iter(loader()).set_state(state)


def test_invalid_settings_are_refused():
    with pytest.raises(InputError, match="no split 'test': use one of train, val, toy"):
        clip_loader(DATASET, "test", CONFIG, 1)
    with pytest.raises(InputError, match="no video of 'val' has a clip of 99 frames"):
        clip_loader(DATASET, "val", ClipConfig(num_frames=99), 1)
    resized = Dataset("fake", DATASET.vocabulary, DATASET._records, {}, 1024)
    with pytest.raises(InputError, match="stored at 1024x1024, not 32"):
        clip_loader(resized, "train", CONFIG, 1)
    windows = ClipConfig("segments", image_size=1024, crop=0.5)
    with pytest.raises(InputError, match=r"crop 0\.5 needs frames"):
        clip_loader(resized, "train", windows, 1)
    with pytest.raises(InputError, match="shard 2 of 2"):
        loader(shard=(2, 2))
    with pytest.raises(InputError, match="batch_size 0"):
        loader(batch_size=0)
    with pytest.raises(InputError, match="num_workers -1: give 0 or more"):
        loader(num_workers=-1)
    with pytest.raises(InputError, match="seed -2: give 0 or more"):
        loader(seed=-2)
