"""Reading pvsg.json: its quirks, on a drawn one and on the released one."""

import json
import os
import time
from pathlib import Path

import drawn
import pytest
from open_pvsg.audit import audit_report, report_text
from open_pvsg.pvsg_json import read_annotations
from open_pvsg.quirks import QUIRKS, DownloadError

from c2g_jax.vocabulary import load_vocabulary

ROOT = Path(__file__).resolve().parents[2]


def read(tmp_path, content):
    drawn.write_json(tmp_path, content)
    return read_annotations(tmp_path / "pvsg.json")


def counts(report):
    """{quirk: count} of those that were met."""
    quirks = report["quirks"].items()
    return {
        n: q["count"] for n, q in quirks if isinstance(q["count"], int) and q["count"]
    }


def test_videos_come_in_the_order_of_the_lists(tmp_path):
    annotations = read(tmp_path, drawn.annotations())
    ids = [(v.split_name, v.video_id) for v in annotations.videos]
    assert ids == [
        ("drawn_train", "0002_2"), ("drawn_train", "0001_1"), ("drawn_val", "0003_3"),
    ]  # fmt: skip
    assert annotations.findings == ()
    span = annotations.videos[1].spans[1]
    assert (span.subject_id, span.object_id, span.predicate) == (3, 2, "chasing")
    assert (span.start, span.end) == (5, 19)


def spoil(video):
    """One of every quirk that pvsg.json can have within a video of 11 frames."""
    video["meta"]["duration"] += 1  # frame_count_mismatch
    video["objects"] += [
        {"object_id": 3, "category": "cat", "is_thing": True, "status": []},
        {"object_id": 4, "category": "unicorn", "is_thing": True, "status": []},
        {"object_id": 300, "category": "cat", "is_thing": True, "status": []},
        {"object_id": 9, "category": "cat", "is_thing": False,
         "status": {"asleep": [[2, 30]]}},
    ]  # fmt: skip
    video["relations"] += [
        [3, 2, "squeezing", [[0, 1]]],
        [2, 2, "on", [[0, 1]]],
        [2, 77, "on", [[0, 1]]],
        [9, 1, "on", [[0, 4], [3, 3], [8, 20], [11, 12], [5, 4], [-1, 2], [1]]],
    ]
    video["captions"].append({"time": "0000", "description": "A dog (dog-1) runs."})


def test_each_quirk_is_handled_and_noted_with_its_place(tmp_path):
    content = drawn.annotations()
    spoil(content["data"][1])
    content["data"].append(content["data"][0])  # listed_twice
    content["data"].append(dict(content["data"][0], video_id="alone"))
    content["split"]["drawn"]["val"].append("missing")
    annotations = read(tmp_path, content)
    video = annotations.videos[0]
    assert [o.object_id for o in video.objects] == [1, 2, 3, 9]
    assert video.objects[2].category == "dog"
    assert video.objects[3].is_thing  # as the list has it
    kept = [(s.start, s.end) for s in video.spans if s.subject_id == 9]
    assert kept == [(0, 4), (3, 3), (8, 10)]
    assert [(s.name, s.start, s.end) for s in video.status] == [("asleep", 2, 10)]
    report = audit_report(annotations)
    assert counts(report) == {
        "unknown_predicate": 1, "span_past_end": 3, "span_outside": 1,
        "span_malformed": 3, "overlapping_spans": 1, "self_relation": 1,
        "unknown_participant": 1, "unknown_category": 1, "duplicate_object_id": 1,
        "object_id_range": 1, "ids_not_in_order": 1, "is_thing_mismatch": 1,
        "frame_count_mismatch": 1, "status_given": 1, "unresolved_tag": 1,
        "split_without_video": 1, "video_without_split": 1, "listed_twice": 1,
    }  # fmt: skip
    (place,) = report["quirks"]["unknown_predicate"]["places"]
    assert place == {"video_id": "0002_2", "ids": [3, 2], "predicate": "squeezing"}
    assert {e["video_id"] for e in report["excluded"]} == {"alone", "missing"}
    assert report["quirks"]["void_frame"]["count"] == "needs masks"
    text = report_text(report)
    assert "unknown_predicate" in text
    assert "0002_2: ids [3, 2], predicate squeezing" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not JSON"), ("[]", "not a pvsg.json"), ("{}", "not a pvsg.json")],
)
def test_other_files_are_refused(tmp_path, content, says):
    path = tmp_path / "pvsg.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DownloadError, match=says):
        read_annotations(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda video: video.pop("meta"),
        lambda video: video.update(objects=None),
        lambda video: video["relations"].append([1, 2, "on"]),
        lambda video: video["meta"].update(num_frames="many"),
    ],
)
def test_an_entry_of_another_form_is_refused(tmp_path, spoil):
    content = drawn.annotations()
    spoil(content["data"][0])
    with pytest.raises(DownloadError, match=r"not in the format of pvsg\.json"):
        read(tmp_path, content)


@pytest.fixture(scope="module")
def released():
    places = (os.environ.get("PVSG_JSON"), ROOT.parent / "shared/pvsg/pvsg.json")
    for path in filter(None, places):
        if Path(path).is_file():
            began = time.perf_counter()
            annotations = read_annotations(Path(path))
            report = audit_report(annotations)
            assert time.perf_counter() - began < 5
            return annotations, report
    pytest.skip("no released pvsg.json here: name it by PVSG_JSON=...")


def test_counts_of_the_released_file(released):
    annotations, report = released
    assert report["annotations"]["is_released"]
    total = report["total"]
    assert (total["videos"], total["frames"], total["objects"]) == (400, 149488, 7596)
    assert (total["relations"], total["spans"]) == (4587, 6035)
    splits = report["splits"]
    columns = [
        [splits[f"{source}_{split}"][name] for source in annotations.sources]
        for split, name in (
            ("train", "videos"), ("val", "videos"), ("val", "objects"),
            ("val", "relations"),
        )
    ]  # fmt: skip
    assert annotations.sources == ("vidor", "epic_kitchen", "ego4d")
    assert columns == [[249, 44, 45], [40, 11, 11], [580, 430, 272], [623, 155, 191]]
    assert counts(report) == {
        "unknown_predicate": 39, "span_past_end": 59, "span_outside": 5,
        "overlapping_spans": 48, "self_relation": 2, "unresolved_tag": 23,
    }  # fmt: skip
    assert report["predicates"]["unknown"] == {
        "squatting on": 11, "getting down on": 7, "climbing": 6, "enclosing": 6,
        "pouring": 5, "going down": 2, "squeezing": 1, "moving": 1,
    }  # fmt: skip
    assert list(report["predicates"]["known"].items())[:6] == [
        ("holding", 918), ("on", 836), ("in front of", 250), ("sitting on", 214),
        ("standing on", 212), ("touching", 194),
    ]  # fmt: skip
    assert all(v.fps == 5 for v in annotations.videos)
    assert report["excluded"] == []
    for name, quirk in QUIRKS.items():
        if quirk.needs != "annotations":
            assert report["quirks"][name]["count"] == f"needs {quirk.needs}"


def test_every_finding_of_the_released_file_has_a_video(released):
    _, report = released
    for quirk in report["quirks"].values():
        for place in quirk.get("places", ()):
            assert place["video_id"]
    json.dumps(report)


def test_names_of_the_released_file_are_the_vocabulary(released):
    annotations, _ = released
    vocabulary = load_vocabulary()
    assert annotations.things == vocabulary.things
    assert annotations.stuff == vocabulary.stuff
    assert annotations.predicates == vocabulary.predicates
