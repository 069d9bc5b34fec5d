"""The prepared set, compared with ground truth and with independent plain code."""

import importlib.util
import io
import json
from collections import defaultdict

import av
import drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from open_pvsg import shards, workers
from open_pvsg.build import build
from open_pvsg.preparation import scan_download
from PIL import Image

from c2g_jax.data.dataset import open_dataset

CHUNKED = ("videos", "default")


@pytest.fixture(scope="module")
def prepared(drawn_tree, tmp_path_factory):
    """All three configs of the drawn tree."""
    data_dir = tmp_path_factory.mktemp("data")
    build(drawn_tree, data_dir)
    return data_dir


def encoded(data_dir, config, name="open_pvsg"):
    """Every record of a config, images as their bytes: {split: [record]}."""
    from open_pvsg.features import chunk_features

    builder = tfds.builder_from_directory(data_dir / name / config / "1.0.0")
    found = {}
    for split in builder.info.splits:
        rows = builder.as_data_source(split)
        if config == "videos":
            found[split] = [plain(row) for row in rows]
        else:
            # As in c2g_jax.data: TFDS decodes sequences of images, or nothing.
            f = tfds.features
            images = f.Sequence(f.Tensor(shape=(), dtype=np.object_))
            columns = dict(chunk_features().items()) | {"frames": images}
            raw = f.FeaturesDict(columns | {"masks": images})
            found[split] = [
                plain(raw.deserialize_example_np(rows.data_source[i]))
                for i in range(len(rows))
            ]
    return found


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in sorted(value.items())}
    if isinstance(value, list | np.ndarray):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def test_records_are_what_plain_code_reads(toy_download, prepared_toy):
    """Every record, compared with pvsg.json and PNGs read by json and PIL alone."""
    content = json.loads((toy_download / "pvsg.json").read_text())
    videos = {video["video_id"]: video for video in content["data"]}
    names = content["objects"]["thing"] + content["objects"]["stuff"]
    dataset = open_dataset(prepared_toy, "toy_pvsg")
    split_names = {}
    for source, lists in content["split"].items():
        for split, ids in lists.items():
            split_names |= dict.fromkeys(ids, f"{source}_{split}")
            stored = dataset.videos(f"{source}_{split}")
            assert [video.video_id for video in stored] == ids
    for record in dataset.videos("train") + dataset.videos("val"):
        video, n = videos.pop(record.video_id), record.num_frames
        assert split_names[record.video_id] == record.split
        assert (record.height, record.width) == (
            video["meta"]["height"], video["meta"]["width"],
        )  # fmt: skip
        assert (n, record.fps) == (video["meta"]["num_frames"], 5)
        folder = toy_download / record.source / "masks" / record.video_id
        masks = np.stack(
            [np.array(Image.open(folder / f"{t:04d}.png")) for t in range(n)]
        )
        frames, segments = dataset.read(record, 0, n)
        np.testing.assert_array_equal(segments, masks)
        path = toy_download / record.source / "videos" / f"{record.video_id}.mp4"
        with av.open(path) as container:
            decoded = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        assert np.abs(frames.astype(int) - np.stack(decoded)).mean() < 3  # of JPEG
        for i, item in enumerate(video["objects"]):
            assert record.object_ids[i] == item["object_id"]
            assert names[record.categories[i]] == item["category"]
            assert record.is_thing[i] == item["is_thing"]
            seen = (masks == item["object_id"]).any((1, 2))
            np.testing.assert_array_equal(record.visible_mask(item["object_id"]), seen)
        wanted = [
            [s, o, content["relations"].index(p), start, end]
            for s, o, p, spans in video["relations"]
            for start, end in spans
        ]
        np.testing.assert_array_equal(record.relations, np.reshape(wanted, (-1, 5)))
        assert list(record.captions) == video["captions"]
        assert list(record.questions) == video["qa_pairs"]
        assert record.summary == video["summary"]
    assert videos == {}


def test_records_are_the_generator_s_truth(prepared_toy):
    """Every mask pixel and span, compared with the generator's ground truth."""
    from toy_pvsg.generate import truth

    dataset = open_dataset(prepared_toy, "toy_pvsg")
    for split in ("train", "val"):
        for index, record in enumerate(dataset.videos(split)):
            meant = truth("tiny", split, index, seed=0)
            _, segments = dataset.read(record, 0, record.num_frames)
            np.testing.assert_array_equal(segments, meant.segments)
            spans = [
                [s, o, dataset.vocabulary.predicates.index(p), start, end]
                for s, o, p, spans in meant.relations
                for start, end in spans
            ]
            np.testing.assert_array_equal(record.relations, np.reshape(spans, (-1, 5)))


def test_chunks_hold_eight_frames_and_the_rest(prepared):
    rows = encoded(prepared, "default")["drawn_train"]
    found = [(r["video_id"].decode(), r["start"], len(r["frames"])) for r in rows]
    assert found == [
        ("0002_2", 0, 8), ("0002_2", 8, 3),
        ("0001_1", 0, 8), ("0001_1", 8, 8), ("0001_1", 16, 4),
    ]  # fmt: skip
    for row in rows:
        for offset, png in enumerate(row["masks"]):
            image = Image.open(io.BytesIO(png))
            assert image.mode == "L"  # no reader takes an id for a colour
            mask = drawn.mask_of(row["video_id"].decode(), row["start"] + offset)
            np.testing.assert_array_equal(np.array(image), mask)
        jpeg = Image.open(io.BytesIO(row["frames"][0]))
        assert [layer[1:3] for layer in jpeg.layer] == [(1, 1)] * 3  # 4:4:4


def test_frames_of_1024_are_resized_and_masks_are_not(prepared, drawn_tree):
    dataset = open_dataset(prepared, config="1024")
    record = dataset.videos("val")[0]
    frames, segments = dataset.read(record, 3, 4)
    assert frames.shape == (1, 1024, 1024, 3)
    assert segments.shape == (1, *drawn.SIZE)
    with av.open(drawn_tree / "drawn/videos/0003_3.mp4") as container:
        third = [f.to_image() for f in container.decode(video=0)][3]
    wanted = np.asarray(third.resize((1024, 1024), Image.Resampling.BICUBIC))
    assert np.abs(frames[0].astype(int) - wanted).mean() < 1


def test_tfds_reads_it_without_our_code(prepared):
    joined = tfds.data_source(
        "open_pvsg/videos", split="drawn_train+drawn_val", data_dir=prepared
    )
    assert [v["video_id"] for v in joined] == [b"0002_2", b"0001_1", b"0003_3"]
    chunk = tfds.data_source("open_pvsg/default", split="drawn_val", data_dir=prepared)[
        1
    ]
    np.testing.assert_array_equal(
        np.stack(chunk["masks"])[..., 0],
        [drawn.mask_of("0003_3", t) for t in range(8, 16)],
    )
    info = tfds.builder("open_pvsg/videos", data_dir=prepared).info
    assert info.features["objects"]["category"].names[0] == "adult"
    assert info.disable_shuffling


def test_void_and_unknown_ids_are_stored_as_void(tree, tmp_path):
    (tree / "drawn/masks/0002_2/0009.png").unlink()
    mask = drawn.mask_of("0002_2", 2)
    mask[-3:] = 99
    Image.fromarray(mask).save(tree / "drawn/masks/0002_2/0002.png")
    build(tree, tmp_path / "data", configs=CHUNKED)
    dataset = open_dataset(tmp_path / "data")
    _, segments = dataset.read(dataset.videos("train")[0], 0, 11)
    wanted = [drawn.mask_of("0002_2", t) for t in range(11)]
    wanted[9] = np.zeros_like(wanted[9])
    wanted[2][-3:] = 0
    np.testing.assert_array_equal(segments, wanted)
    audit = json.loads((tmp_path / "data/open_pvsg/audit.json").read_text())
    assert audit["quirks"]["missing_mask"]["places"] == [
        {"video_id": "0002_2", "frame": 9}
    ]
    assert "missing_mask" in (tmp_path / "data/open_pvsg/audit.txt").read_text()


def test_spans_end_with_the_usable_frames(tree, tmp_path):
    content = drawn.annotations()
    content["data"][1]["relations"].append([1, 2, "on", [[7, 9], [8, 8]]])
    drawn.write_json(tree, content)
    for number in (8, 9, 10):
        (tree / f"drawn/masks/0002_2/{number:04d}.png").unlink()
    build(tree, tmp_path / "data", configs=("videos",))
    rows = encoded(tmp_path / "data", "videos")["drawn_train"][0]["relations"]
    assert list(zip(rows["start"], rows["end"], strict=True)) == [
        (0, 3), (5, 7), (0, 7), (7, 7),
    ]  # fmt: skip


def test_zips_give_the_same_records_in_two_processes(
    drawn_tree, tmp_path, prepared, monkeypatch
):
    monkeypatch.setattr(workers, "FEW_FRAMES", 0)
    root = drawn.zip_tree(drawn_tree, tmp_path / "zips")
    seen = defaultdict(int)

    def begin(what, total):
        def advance(frames):
            seen[what, total] += frames

        return advance

    build(root, tmp_path / "data", configs=CHUNKED, workers=2, begin=begin)
    for config in CHUNKED:
        assert encoded(tmp_path / "data", config) == encoded(prepared, config)
    frames = sum(drawn.FRAMES.values())
    assert seen == {("videos read", frames): frames, ("default", frames): frames}


def test_files_hold_whole_videos_in_order(drawn_tree, monkeypatch):
    entries = scan_download(drawn_tree).entries["drawn_train"]
    many = entries * 20
    monkeypatch.setattr(shards, "SHARD_BYTES", 210_000)
    plan = shards.plan_shards("default", many)
    assert len(plan) == 3
    assert [e for shard in plan for e in shard.entries] == list(many)
    assert len(shards.plan_shards("videos", many)) == 1
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    assert [len(s.entries) for s in shards.plan_shards("default", entries)] == [1, 1]


def test_several_files_read_as_one(drawn_tree, tmp_path, monkeypatch, prepared):
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    build(drawn_tree, tmp_path, configs=("default",))
    names = sorted(
        p.name for p in (tmp_path / "open_pvsg/default/1.0.0").glob("*train*")
    )
    assert [name[-14:] for name in names] == ["00000-of-00002", "00001-of-00002"]
    assert encoded(tmp_path, "default") == encoded(prepared, "default")


beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="APACHE BEAM IS NOT INSTALLED: preparing on it is not tested here "
    "(pip install -e '.[tfds-cli]' in an environment of its own)",
)


@beam
def test_beam_writes_the_same_records(drawn_tree, tmp_path, prepared):
    from apache_beam.options.pipeline_options import PipelineOptions

    options = PipelineOptions(["--runner=DirectRunner"])
    build(drawn_tree, tmp_path, beam_options=options)
    for config in ("videos", "default", "1024"):
        assert encoded(tmp_path, config) == encoded(prepared, config)
