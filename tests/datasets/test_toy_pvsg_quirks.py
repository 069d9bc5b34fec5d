"""Each planted quirk is on disk where the report says, as often as it says."""

import json
import zipfile

import av
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from toy_pvsg.generate import SIZES, generate, truth
from toy_pvsg.quirks import ARCHIVE_QUIRKS, QUIRKS

SMALL = SIZES["tiny"]._replace(frames=16, pictures=((64, 48),))
TREE = tuple(name for name in QUIRKS if name not in ARCHIVE_QUIRKS)


@pytest.fixture(scope="module")
def quirky(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "quirky"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "tiny", SMALL)
        return root / "toy_pvsg", generate(root, quirks=TREE)


@pytest.fixture(scope="module")
def entries(quirky):
    text = (quirky[0].parent / "pvsg.json").read_text(encoding="utf-8")
    return {e["video_id"]: e for e in json.loads(text)["data"]}


@pytest.fixture
def few(monkeypatch):
    """The size tiny with three videos."""
    monkeypatch.setitem(SIZES, "tiny", SMALL._replace(train=2, val=1))


def where(quirky, name):
    (place,) = quirky[1].quirks[name]
    return place


def mask(quirky, place):
    path = quirky[0] / "masks" / place["video_id"] / f"{place['frame']:04d}.png"
    with Image.open(path) as image:
        return np.array(image)


def test_every_quirk_is_planted_once(quirky):
    assert quirky[1].counts == dict.fromkeys(TREE, 1)


def test_relations_that_break_a_rule(quirky, entries):
    names = (
        "unknown_predicate",
        "span_past_end",
        "span_outside",
        "span_reversed",
        "overlapping_spans",
        "self_relation",
        "participant_without_mask",
    )
    found = {}
    for name in names:
        place = where(quirky, name)
        record = entries[place["video_id"]]["relations"][place["relation"]]
        assert record[2:] == [place["predicate"], place["spans"]]
        found[name] = record
    assert found["unknown_predicate"][2] == "climbing"
    ((start, end),) = found["span_past_end"][3]
    assert start < 16 <= end
    ((start, _),) = found["span_outside"][3]
    assert start >= 16
    ((start, end),) = found["span_reversed"][3]
    assert start > end
    first, second = found["overlapping_spans"][3]
    assert first[0] < second[0] <= first[1]
    assert found["self_relation"][0] == found["self_relation"][1]


def test_records_outside_the_schema(quirky, entries):
    place = where(quirky, "unresolved_caption")
    caption = entries[place["video_id"]]["captions"][place["caption"]]
    assert "(baby-1)" in caption["description"]
    place = where(quirky, "status_given")
    assert entries[place["video_id"]]["objects"][0]["status"] == {"moving": [[0, 4]]}
    place = where(quirky, "meta_size")
    path = quirky[0] / "masks" / place["video_id"] / "0000.png"
    with Image.open(path) as image:
        assert image.height != entries[place["video_id"]]["meta"]["height"]


def test_masks_that_are_wrong(quirky, entries):
    assert (mask(quirky, where(quirky, "void_frame")) == 0).all()
    place = where(quirky, "unknown_mask_id")
    listed = {o["object_id"] for o in entries[place["video_id"]]["objects"]}
    assert place["object_id"] not in listed
    assert (mask(quirky, place) == place["object_id"]).sum() == 16
    place = where(quirky, "mask_size")
    meta = entries[place["video_id"]]["meta"]
    assert list(mask(quirky, place).shape) == place["size"]
    assert place["size"] != [meta["height"], meta["width"]]
    place = where(quirky, "unreadable_mask")
    with pytest.raises((UnidentifiedImageError, OSError)):
        mask(quirky, place)
    with pytest.raises(FileNotFoundError):
        mask(quirky, where(quirky, "missing_mask"))
    place = where(quirky, "participant_without_mask")
    for frame in place["frames"]:
        assert place["object_id"] not in mask(quirky, {**place, "frame": frame})


def test_objects_without_a_pixel_are_counted(quirky, entries, monkeypatch):
    monkeypatch.setitem(SIZES, "tiny", SMALL)
    place = where(quirky, "object_never_visible")
    entry = entries[place["video_id"]]
    assert entry["objects"][-1]["object_id"] == place["object_id"]
    plans = {p.video_id: p for p in quirky[1].videos}
    unseen = 0
    for video_id, entry in entries.items():
        plan = plans[video_id]
        seen = set(np.unique(truth("tiny", plan.split, plan.index).segments))
        unseen += sum(o["object_id"] not in seen for o in entry["objects"])
    assert quirky[1].unseen == unseen


def test_videos_that_are_wrong(quirky):
    place = where(quirky, "short_video")
    path = quirky[0] / "videos" / f"{place['video_id']}.mp4"
    with av.open(str(path)) as container:
        shown = sum(1 for _ in container.decode(video=0))
    assert shown == place["decoded"] == place["num_frames"] - 2
    name = where(quirky, "missing_video")["video_id"]
    assert not list((quirky[0] / "videos").glob(f"{name}.*"))
    name = where(quirky, "upper_case_video")["video_id"]
    assert [p.name for p in (quirky[0] / "videos").glob(f"{name}.*")] == [f"{name}.MP4"]
    name = where(quirky, "macosx_members")["video_id"]
    assert (quirky[0] / "masks" / "__MACOSX" / name / "._0000.png").is_file()


def test_archives_cut_short_and_members_of_the_finder(tmp_path, few):
    wanted = {"truncated_zip": 1, "macosx_members": 2}
    report = generate(tmp_path, layout="zips", quirks=wanted,
                      sources=("vidor", "ego4d"))  # fmt: skip
    assert report.counts == wanted
    name = report.quirks["truncated_zip"][0]["archive"]
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(next(tmp_path.rglob(name)))
    found = 0
    for path in tmp_path.rglob("*_masks.zip"):
        if path.name != name:
            with zipfile.ZipFile(path) as archive:
                found += sum("__MACOSX" in n and n.endswith(".png")
                             for n in archive.namelist())  # fmt: skip
    assert found == 1  # the other one is in the archive that was cut


def test_flattened_masks_keep_one_video_of_all(tmp_path, few):
    generate(tmp_path, layout="flattened")
    masks = sorted(p.name for p in (tmp_path / "toy_pvsg" / "masks").iterdir())
    assert masks == [f"{t:04d}.png" for t in range(16)]


def test_more_plants_than_videos_are_refused(tmp_path):
    with pytest.raises(ValueError, match="13 times void_frame, but 12 videos"):
        generate(tmp_path, quirks={"void_frame": 13})
