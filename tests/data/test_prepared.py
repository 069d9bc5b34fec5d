"""The toy data set: from the download through the builder to batches."""

import json

import numpy as np
import pytest
from PIL import Image

from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.dataset import open_dataset
from c2g_jax.data.loader import clip_loader
from c2g_jax.types import InputError
from c2g_jax.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def annotations(toy_download):
    return json.loads((toy_download / "pvsg.json").read_text(encoding="utf-8"))


def test_splits_and_names_are_the_download_s(toy_dataset, annotations):
    split = annotations["split"]["toy_pvsg"]
    for name in ("train", "val"):
        ids = [video.video_id for video in toy_dataset.videos(name)]
        assert ids == split[name]
        assert toy_dataset.videos(f"toy_pvsg_{name}") == toy_dataset.videos(name)
    assert toy_dataset.sources == ("toy_pvsg",)
    assert toy_dataset.vocabulary == load_vocabulary()


def test_every_pixel_of_the_masks_and_every_span(
    toy_dataset, annotations, toy_download
):
    names = toy_dataset.vocabulary
    meant = {video["video_id"]: video for video in annotations["data"]}
    for video in (*toy_dataset.videos("train"), *toy_dataset.videos("val")):
        want = meant[video.video_id]
        folder = toy_download / "toy_pvsg/masks" / video.video_id
        masks = np.stack([np.array(Image.open(p)) for p in sorted(folder.glob("*"))])
        frames, segments = toy_dataset.read(video, 0, video.num_frames)
        np.testing.assert_array_equal(segments, masks)
        assert frames.shape == (*segments.shape, 3)
        for entry in want["objects"]:
            object_id = entry["object_id"]
            assert names.objects[video.category(object_id)] == entry["category"]
            seen = (masks == object_id).any(axis=(1, 2))
            np.testing.assert_array_equal(video.visible_mask(object_id), seen)
        spans = {
            (subject, other, names.predicates.index(predicate), *span)
            for subject, other, predicate, rows in want["relations"]
            for span in rows
        }
        assert {tuple(row) for row in video.relations.tolist()} == spans


def test_a_clip_shows_what_a_whole_read_shows(toy_dataset):
    video = toy_dataset.videos("val")[1]
    frames, segments = toy_dataset.read(video, 0, video.num_frames)
    some, of_them = toy_dataset.read(video, 5, 18)
    np.testing.assert_array_equal(some, frames[5:18])
    np.testing.assert_array_equal(of_them, segments[5:18])


def test_workers_read_it_as_this_process_does(toy_dataset):
    config = ClipConfig(task="segments", image_size=64)
    here = iter(clip_loader(toy_dataset, "train", config, 2))
    there = iter(clip_loader(toy_dataset, "train", config, 2, num_workers=1))
    for _ in range(3):
        ours, theirs = next(here), next(there)
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key])
    there.close()


def test_every_relation_clip_has_one_to_learn_from(toy_dataset):
    batches = iter(clip_loader(toy_dataset, "train", ClipConfig(image_size=64), 4))
    for _ in range(4):
        batch = next(batches)
        assert batch["subjects"].any(axis=1).all()
        assert batch["predicates"].any(axis=(1, 2, 3, 4)).all()


def test_what_was_left_half_written_is_not_opened(tmp_path, prepared_toy):
    whole = prepared_toy / "toy_pvsg/videos/1.0.0"
    half = tmp_path / "toy_pvsg/videos/1.0.0.incomplete3"
    half.mkdir(parents=True)
    for file in whole.iterdir():
        (half / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="no prepared data set"):
        open_dataset(tmp_path, "toy_pvsg")
