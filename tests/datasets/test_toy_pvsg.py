"""The generated download: its content against ground truth, and its format."""

import hashlib
import itertools
import json
import zipfile

import av
import numpy as np
import pytest
from open_pvsg import workers
from PIL import Image
from toy_pvsg import film, generate, preview, survey
from toy_pvsg.generate import SIZES, truth
from toy_pvsg.render import Renderer

from tests.commands import ROOT


@pytest.fixture(scope="module")
def tree(toy_download):
    """The size tiny, unpacked, and its videos. Not to be written to."""
    return toy_download, generate.videos("tiny")


def read(root):
    return json.loads((root / "pvsg.json").read_text(encoding="utf-8"))


def hashes(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_every_pixel_and_span_is_the_truth(tree):
    root, plans = tree
    entries = {e["video_id"]: e for e in read(root)["data"]}
    assert len(entries) == len(plans) == 12
    for plan in plans:
        meant = truth("tiny", plan.split, plan.index)
        entry = entries[plan.video_id]
        assert entry["objects"] == meant.objects
        assert entry["relations"] == meant.relations
        folder = root / "toy_pvsg" / "masks" / plan.video_id
        paths = sorted(folder.iterdir())
        assert [p.name for p in paths] == [f"{t:04d}.png" for t in range(24)]
        for path, segments in zip(paths, meant.segments, strict=True):
            with Image.open(path) as image:
                assert image.mode == "P"
                np.testing.assert_array_equal(np.array(image), segments)


def test_annotations_have_the_schema_of_the_released_file(tree):
    root, _ = tree
    whole = read(root)
    assert list(whole) == ["objects", "relations", "split", "data"]
    names = json.loads((ROOT / "c2g_jax" / "vocabulary.json").read_text())
    assert whole["objects"] == {"thing": names["thing"], "stuff": names["stuff"]}
    assert whole["relations"] == names["predicate"]
    split = whole["split"]["toy_pvsg"]
    assert split["train"] + split["val"] == [e["video_id"] for e in whole["data"]]
    assert (len(split["train"]), len(split["val"])) == SIZES["tiny"][:2]
    for entry in whole["data"]:
        meta, objects = entry["meta"], entry["objects"]
        assert meta["duration"] * meta["fps"] == meta["num_frames"] == 24
        assert [o["object_id"] for o in objects] == list(range(1, len(objects) + 1))
        things = [o for o in objects if o["is_thing"]]
        assert 2 <= len(things) <= 6
        assert {o["category"] for o in things} <= set(names["thing"])
        stuff = {o["category"] for o in objects if not o["is_thing"]}
        assert stuff <= set(names["stuff"])
        for subject, target, predicate, spans in entry["relations"]:
            assert subject != target
            assert {subject, target} <= set(range(1, len(objects) + 1))
            assert predicate in names["predicate"]
            assert all(0 <= start <= end < 24 for start, end in spans)
            assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
        assert entry["summary"]
        assert all(c["description"] for c in entry["captions"])


def test_videos_show_the_drawn_frames_at_five_a_second(tree):
    root, plans = tree
    for plan in (plans[0], plans[2], plans[-1]):
        path = root / "toy_pvsg" / "videos" / f"{plan.video_id}.mp4"
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == 5
            shown = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
        size = SIZES["tiny"].pictures[plan.index % 4]
        drawn = Renderer(film.make(0, plan.split, plan.index, size, 24))
        assert len(shown) == 24
        for t in (0, 11, 23):
            picture, _ = drawn.frame(t)
            assert shown[t].shape == picture.shape
            error = np.abs(shown[t].astype(float) - picture)
            assert error.mean() < 6


def test_same_seed_same_bytes_in_any_process(tree, tmp_path):
    """Two videos generated again, in separate processes, and pvsg.json of both."""
    root, _ = tree

    def run(function, tasks):
        return workers.run_tasks(function, tasks[:2], 2)

    report = generate.generate(tmp_path / "again", run=run)
    assert report.frames == 2 * 24
    found, wanted = hashes(tmp_path / "again"), hashes(root)
    found.pop("pvsg.json")  # lists only these two
    assert found == {path: wanted[path] for path in found}
    assert len(found) == 2 * (24 + 1)
    assert read(tmp_path / "again")["data"] == read(root)["data"][:2]


def test_validation_videos_are_frozen():
    """Scores are compared over versions, so these arrays never change."""
    digest = hashlib.sha256()
    for index in range(0, 120, 6):
        video = generate._film("large", 0, "val", index)
        assert len(video.frames) == 40
        for array in Renderer(video).frame(20):
            digest.update(array.tobytes())
        digest.update(json.dumps(video.record, sort_keys=True).encode())
    assert digest.hexdigest() == (
        "59a93db6d6a6dcff803dad436dc3df4edeca39751f3729afb05ae84b31b2dce6"
    )


def test_a_large_set_has_the_videos_of_the_others_and_more():
    assert SIZES["large"][:3] == (3000, 120, 40)
    large, train, val = (generate.videos(name) for name in ("large", "train", "val"))
    assert large[:600] == train
    assert large[3000:] == val
    films = [generate._film(name, 0, "train", 3) for name in ("large", "train")]
    first, second = (film.record for film in films)
    assert first == second


def test_another_seed_split_or_index_is_another_video():
    keys = [(0, "train", 0), (1, "train", 0), (0, "val", 0), (0, "train", 1)]
    films = [film.make(*key, (64, 48), 8) for key in keys]
    pictures = [Renderer(f).frame(5)[0].tobytes() for f in films]
    assert len(set(pictures)) == 4


def test_masks_are_the_outlines_of_the_picture():
    """Without blur and noise, removing a thing changes its pixels."""
    shown = film.make(0, "train", 1, (256, 256), 8)
    shown.light.blur, shown.light.grain = 0.0, 0.0
    last = max(range(len(shown.things)), key=lambda i: shown.things[i].y)
    before, segments = Renderer(shown).frame(3)
    shown.frames[3] = [(i, part) for i, part in shown.frames[3] if i != last]
    after, _ = Renderer(shown).frame(3)
    changed = (before != after).any(axis=-1)
    own = segments == len(shown.stuff) + 1 + last
    assert own.sum() > 100
    assert changed[own].mean() > 0.97
    # Only the dark edge of its outline extends beyond its mask.
    assert (changed & ~own).sum() < 0.5 * own.sum()


def test_layout_of_the_archives(tmp_path, tree, monkeypatch):
    tiny = SIZES["tiny"]
    monkeypatch.setitem(SIZES, "tiny", tiny._replace(train=3, val=1))
    root = tmp_path / "zips"
    sources = ("vidor", "epic_kitchen", "ego4d")
    report = generate.generate(root, layout="zips", sources=sources)
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.*"))
    assert files == [
        "Ego4D/ego4d_masks.zip", "Ego4D/ego4d_videos.zip",
        "EpicKitchen/epic_kitchen_masks.zip", "EpicKitchen/epic_kitchen_videos.zip",
        "VidOR/vidor_masks.zip", "VidOR/vidor_videos.zip", "pvsg.json",
    ]  # fmt: skip
    assert {p.source for p in report.videos} == set(sources)
    plan = report.videos[0]
    plain = tree[0] / "toy_pvsg" / "masks" / "toy_pvsg_train_0000" / "0003.png"
    with zipfile.ZipFile(root / "VidOR" / "vidor_masks.zip") as archive:
        assert archive.testzip() is None
        name = "mnt/lustre/jkyang/CVPR23/openpvsg/data/vidor/masks"
        data = archive.read(f"{name}/{plan.video_id}/0003.png")
    assert data == plain.read_bytes()  # the source affects the name only


def test_bad_requests_are_named_and_leave_nothing_behind(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no size 'huge'"):
        generate.generate(tmp_path / "a", size="huge")
    with pytest.raises(ValueError, match="no layout 'tar'"):
        generate.generate(tmp_path / "a", layout="tar")
    with pytest.raises(ValueError, match="no quirk 'rain'"):
        generate.generate(tmp_path / "a", quirks=("rain",))
    with pytest.raises(ValueError, match="needs the layout zips"):
        generate.generate(tmp_path / "a", quirks=("truncated_zip",))

    def broken(task):
        raise OSError("disk full")

    monkeypatch.setattr(generate, "_write", broken)
    with pytest.raises(OSError, match="disk full"):
        generate.generate(tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == []


def test_preview_writes_a_sheet_and_a_video(tree, tmp_path):
    preview.preview(tree[0], tmp_path, videos=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "contact_sheet.png", "overlay.mp4",
    ]  # fmt: skip
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert sheet.width > 1400
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 24


def test_preview_shows_videos_from_the_first_to_the_last():
    assert preview.spread(12, 8) == [0, 2, 3, 5, 6, 8, 9, 11]
    assert preview.spread(3, 8) == [0, 1, 2]
    assert preview.spread(720, 1) == [0]


def test_survey_counts_what_the_file_says(tmp_path):
    thing = {"category": "ball", "is_thing": True}
    entry = {
        "meta": {"num_frames": 4},
        "objects": [
            {"object_id": 1, "category": "adult", "is_thing": True},
            {"object_id": 2, **thing},
            {"object_id": 3, "category": "grass", "is_thing": False},
        ],
        "relations": [
            [1, 2, "kicking", [[0, 1]]],
            [1, 2, "holding", [[3, 3]]],
            [1, 3, "standing on", [[0, 3]]],
        ],
    }
    (tmp_path / "pvsg.json").write_text(json.dumps({"data": [entry]}))
    found = survey.survey(tmp_path)
    assert (found["records"], found["spans"]) == (3, 3)
    assert found["share of records with stuff as object"] == pytest.approx(1 / 3)
    assert found["pairs of classes with two predicates or more"] == 1
    assert found["objects of a subject in a frame"] == {1: 1, 2: 3}
    assert found["share of frames with a relation"] == 1.0
    assert found["share of spans as long as the video"] == pytest.approx(1 / 3)
