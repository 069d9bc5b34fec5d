"""The audit finds exactly the faults that the generator plants."""

from pathlib import Path

import numpy as np
import plain
import pytest
from open_pvsg.audit import audit_report
from open_pvsg.build import build
from open_pvsg.preparation import scan_download
from toy_pvsg.generate import SIZES, generate
from toy_pvsg.quirks import ARCHIVE_QUIRKS, QUIRKS

from c2g_jax.data.dataset import open_dataset

# Names in the audit, where they differ from those of the generator.
NAMES = {
    "span_reversed": "span_malformed",
    "object_never_visible": "object_without_pixels",
    "unresolved_caption": "unresolved_tag",
    "short_video": "decodes_short",
    "meta_size": "video_size",
    "truncated_zip": "truncated_archive",
}
HARMLESS = {"upper_case_video", "macosx_members"}  # not reported
# These remove masks, so that the generator's own count of pairs would differ.
OF_FILES = {
    "short_video",
    "missing_mask",
    "unreadable_mask",
    "mask_size",
    "missing_video",
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The size tiny with fewer frames and smaller pictures."""
    size = SIZES["tiny"]._replace(frames=16, pictures=((64, 48), (48, 64)))
    monkeypatch.setitem(SIZES, "tiny", size)


def audited(root, **options):
    planted = generate(root, size="tiny", **options)
    report = audit_report((scan := scan_download(root)).annotations, scan)
    met = {n: q["count"] for n, q in report["quirks"].items() if q["count"]}
    return planted, report, met


def expected(planted):
    """{name in the audit: count} of what was planted."""
    counts = {
        NAMES.get(name, name): count
        for name, count in planted.counts.items()
        if name not in HARMLESS
    }
    if "span_outside" in counts:  # such a span also ends past the end
        counts["span_past_end"] = (
            counts.get("span_past_end", 0) + counts["span_outside"]
        )
    return counts


def test_quirks_of_annotations_and_masks(tmp_path):
    names = [q for q in QUIRKS if q not in OF_FILES | {"truncated_zip"}]
    wanted = dict.fromkeys(names, 1) | {"unknown_predicate": 3, "self_relation": 2}
    planted, report, met = audited(tmp_path, layout="zips", quirks=wanted)
    want = expected(planted)
    want["object_without_pixels"] = planted.unseen
    want["participant_without_mask"] = planted.maskless
    assert met == want
    assert report["excluded"] == []
    for name, (where, *_) in planted.quirks.items():
        if name not in HARMLESS:
            places = report["quirks"][NAMES.get(name, name)]["places"]
            assert where["video_id"] in {place["video_id"] for place in places}
    (void,) = report["quirks"]["void_frame"]["places"]
    (meant,) = planted.quirks["void_frame"]
    assert (void["video_id"], void["frame"]) == (meant["video_id"], meant["frame"])


def test_quirks_of_files(tmp_path):
    wanted = dict.fromkeys(OF_FILES, 1) | {"missing_mask": 2}
    planted, report, met = audited(tmp_path, quirks=wanted)
    met.pop("participant_without_mask", None)
    assert met == expected(planted) | (
        {"object_without_pixels": planted.unseen} if planted.unseen else {}
    )
    (missing,) = planted.quirks["missing_video"]
    assert [e["video_id"] for e in report["excluded"]] == [missing["video_id"]]
    assert report["total"]["usable_videos"] == report["total"]["videos"] - 1


def test_a_truncated_archive_affects_its_source_only(tmp_path, monkeypatch):
    size = SIZES["tiny"]._replace(train=4, val=2)
    monkeypatch.setitem(SIZES, "tiny", size)
    planted, report, met = audited(
        tmp_path, layout="zips", sources=("vidor", "ego4d"), quirks=["truncated_zip"]
    )
    (place,) = report["quirks"]["truncated_archive"]["places"]
    source = Path(place["file"]).name.removesuffix("_masks.zip")
    lost = [v.video_id for v in planted.videos if v.source == source]
    assert met["missing_masks"] == len(lost) == 3
    assert {e["video_id"] for e in report["excluded"]} == set(lost)


def test_plain_code_finds_what_is_prepared_and_counted(tmp_path):
    """All quirks in one download: objects, spans, masks and counts, read twice."""
    names = [name for name in QUIRKS if name not in ARCHIVE_QUIRKS]
    generate(tmp_path / "all", quirks=names)
    configs = ("videos", "default")
    report = build(tmp_path / "all", tmp_path, "toy_pvsg", configs)
    videos, odd = plain.read(tmp_path / "all")
    assert odd == {n: q["count"] for n, q in report["quirks"].items() if q["count"]}
    assert len(odd) == len(names) - len(HARMLESS)
    dataset = open_dataset(tmp_path, "toy_pvsg")
    for video in (*dataset.videos("train"), *dataset.videos("val")):
        want = videos.pop(video.video_id)
        ids, categories = video.object_ids.tolist(), video.categories.tolist()
        assert dict(zip(ids, categories, strict=True)) == want["categories"]
        assert sorted(map(tuple, video.relations.tolist())) == want["spans"]
        frames, segments = dataset.read(video, 0, video.num_frames)
        np.testing.assert_array_equal(segments, want["masks"])
        assert np.abs(frames.astype(int) - want["frames"]).mean() < 3  # of JPEG
    assert videos == {}
