"""Reading pvsg.json and its quirks, on a generated file and on the released one."""

import json
import os
import re
import time
from pathlib import Path

import drawn
import pytest
from open_pvsg.audit import audit_report, report_text
from open_pvsg.pvsg_json import read_annotations
from open_pvsg.quirks import QUIRKS, DownloadError

from c2g_jax.vocabulary import load_vocabulary
from tests.commands import ROOT


def read(tmp_path, content):
    drawn.write_json(tmp_path, content)
    return read_annotations(tmp_path / "pvsg.json")


def counts(report):
    """Return {quirk: count} of the quirks that were found."""
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
    """Add one of every quirk of pvsg.json to a video of 11 frames."""
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
    [
        ("", "not JSON"), ("{", "not JSON"), ("[" * 100_000, "not JSON"),
        ("[]", "not a pvsg.json"), ("{}", "not a pvsg.json"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, content, says):
    path = tmp_path / "pvsg.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DownloadError, match=says):
        read_annotations(path)


FORMS = (  # (place in the first video, value, message)
    ("meta", None, "data[0].meta is null, not a dictionary"),
    ("meta.num_frames", "many", 'num_frames is "many", not a whole number from 1'),
    ("meta.num_frames", True, "num_frames is true, not"),
    ("meta.height", 1 << 40, "height is 1099511627776, not"),
    ("meta.width", -4, "data[0].meta.width is -4, not"),
    ("meta.fps", float("nan"), 'fps is "NaN", not a number above 0'),
    ("meta.duration", float("inf"), 'duration is "Infinity", not a number'),
    ("objects", None, "data[0].objects is null, not a list"),
    ("objects.0.object_id", 1.5, "objects[0].object_id is 1.5, not a whole number"),
    ("objects.0.object_id", "1", 'objects[0].object_id is "1", not'),
    ("objects.1.category", None, "objects[1].category is null, not text"),
    ("objects.0.is_thing", 0, "objects[0].is_thing is 0, not true or false"),
    ("objects.0.status", "moving", 'objects[0].status is "moving", not []'),
    ("relations.0", [1, 2, "on"], 'relations[0] is [1, 2, "on"], not a list of 4'),
    ("relations.0.0", [3], "relations[0][0] is [3], not a whole number"),
    ("relations.0.3", 7, "relations[0][3] is 7, not a list"),
    ("captions.0.description", None, "description is null, not text"),
    ("qa_pairs.0", "Who?", 'qa_pairs[0] is "Who?", not a dictionary'),
    ("summary", 3, "data[0].summary is 3, not text"),
    ("summary", "\ud800", "summary is"),  # half of a pair: no UTF-8 holds it
)


@pytest.mark.parametrize(("place", "value", "says"), FORMS)
def test_an_entry_of_another_form_is_refused_by_its_place(tmp_path, place, value, says):
    content = drawn.annotations()
    put(content["data"][0], place, value)
    with pytest.raises(DownloadError, match=re.escape(says)) as caught:
        read(tmp_path, content)
    assert "not in the format of pvsg.json" in str(caught.value)
    assert "download pvsg.json again" in str(caught.value)


def put(part, place, value):
    *way, last = (int(key) if key.isdigit() else key for key in place.split("."))
    for key in way:
        part = part[key]
    part[last] = value


@pytest.mark.parametrize("key", ["video_id", "meta", "relations", "summary"])
def test_what_an_entry_lacks_is_named(tmp_path, key):
    content = drawn.annotations()
    del content["data"][1][key]
    with pytest.raises(DownloadError, match=rf"data\[1\] has no {key}"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("relations", "touching", "relations is"),
        ("relations", ["on", "in\nout"], "relations[1] is"),
        ("relations", ["on", "in", "on"], "'on' is listed 2 times"),
        ("objects.stuff", ["wall", "cup"], "'cup' is listed 2 times"),
        ("objects.thing", [" cup"], "objects.thing[0] is"),
        ("split", {"a/b": {"train": []}}, 'a key of split is "a/b", not a name'),
        ("split", {"drawn": {"tr_ain": []}}, 'a key of split.drawn is "tr_ain"'),
    ],
)
def test_names_that_no_file_could_hold_are_refused(tmp_path, place, value, says):
    content = drawn.annotations()
    put(content, place, value)
    with pytest.raises(DownloadError, match=re.escape(says)):
        read(tmp_path, content)


SPANS = ([9, 4], [-3, 4], [0.0, 4.0], [0, True], ["0", "4"], [0, 4, 5], None, "04",
         [float("nan"), 4], [0, float("inf")], {"start": 0}, 7)  # fmt: skip


def test_spans_of_any_form_are_counted(tmp_path):
    """One bad span costs itself, not the file, and the report stays JSON."""
    content = drawn.annotations()
    content["data"][0]["relations"].append([1, 2, "on", [*SPANS, [3, 5]]])
    annotations = read(tmp_path, content)
    report = audit_report(annotations)
    assert counts(report) == {"span_malformed": len(SPANS)}
    json.dumps(report, allow_nan=False)
    (video,) = [v for v in annotations.videos if v.video_id == "0001_1"]
    kept = [(s.start, s.end) for s in video.spans if s.subject_id == 1]
    assert kept == [(3, 5)]


@pytest.fixture(scope="module")
def released():
    places = (os.environ.get("PVSG_JSON"), ROOT.parent / "shared/pvsg/pvsg.json")
    for path in filter(None, places):
        if Path(path).is_file():
            began = time.process_time()
            annotations = read_annotations(Path(path))
            report = audit_report(annotations)
            assert time.process_time() - began < 5  # of this process, alone or not
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
