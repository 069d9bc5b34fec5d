"""Annotations of files, to go on from; and many sessions as one download."""

import json
import shutil

import numpy as np
import pytest

import c2g_jax
from c2g_jax.export.coco import write_coco
from c2g_jax.export.open_pvsg import write_open_pvsg
from c2g_jax.export.read import read_any
from c2g_jax.media.rle import decode_mask, encode_mask, run_lengths
from c2g_jax.session.dataset import default_splits, export_sessions
from c2g_jax.session.file import read_session
from c2g_jax.session.moments import moments_of
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary
from tests.session import scripted
from tests.session.conftest import OTHER, SUBJECT, centre, everything, run


@pytest.fixture
def annotated(session):
    """Two subjects and what the first one finds, all named, and drawn relations."""
    session.click(**SUBJECT)
    run(session.track())
    session.click(2, **OTHER)
    run(session.track(start=2))
    for object_id, name in ((1, "adult"), (2, "cup"), (3, "dog")):
        session.rename(object_id, name)
    for subject_id in (1, 3):  # both find the thing
        session.set_predicate(subject_id, 2, None)
    session.relate(1, 2, "holding", [(3, 5), (8, 11)])
    session.relate(3, 1, "looking at", [(2, 4)])
    return session


def graph_of(session):
    """Names, masks and relations, with the objects numbered in order."""
    graph = session.graph()
    number = {o.object_id: k for k, o in enumerate(graph.objects)}
    relations = sorted(
        (number[r.subject_id], number[r.object_id], r.predicate, r.spans)
        for r in graph.relations
    )
    return [(o.category, o.masks) for o in graph.objects], relations


@pytest.fixture
def files(annotated, tmp_path):
    """The same annotations in each format."""
    annotated.export("scene_graph", tmp_path / "graph.json")
    annotated.export("coco", tmp_path / "coco.json")
    annotated.export("open_pvsg", tmp_path / "pvsg")
    return tmp_path


@pytest.mark.parametrize("name", ["graph.json", "coco.json", "pvsg"])
def test_what_was_exported_is_taken_over_to_go_on_from(
    annotated, files, make_session, name
):
    session = make_session(model=scripted.model(trained=False))
    before = everything(session)
    assert session.import_annotations(files / name) == 3
    objects, relations = graph_of(annotated)
    found, drawn = graph_of(session)
    assert found == objects  # the exact masks
    assert drawn == ([] if name == "coco.json" else relations)
    assert all(o.state == "accepted" for o in session.objects())
    after = everything(session)
    session.undo()
    assert everything(session) == before
    session.redo()
    assert everything(session) == after
    # Tracking goes on from there; masks that people made stay.
    session.click(5, **centre(6, 6))
    run(session.track(start=5))
    assert len(session.objects()) == 4
    if name != "graph.json":
        assert graph_of(session)[0][:3] == objects
    session.save(files / "a.c2g")
    again = c2g_jax.open_session(
        files / "a.c2g", scripted.video(), model=scripted.model(trained=False)
    )
    assert everything(again) == everything(session)
    again.close()


def test_moments_are_of_the_masks_of_the_file(annotated, files, make_session):
    session = make_session(model=scripted.model(trained=False))
    session.import_annotations(files / "graph.json")
    session.save(files / "a.c2g")
    for obj in read_session(files / "a.c2g").now.objects.values():
        assert len(obj.observations) > 1
        for observation in obj.observations.values():
            expected = moments_of(observation.mask)
            np.testing.assert_allclose(observation.moments, expected, atol=1e-6)


def test_masks_of_a_graph_can_be_fixed_too(annotated, files, make_session):
    session = make_session(model=scripted.model(trained=False))
    session.import_annotations(files / "graph.json", masks="fixed")
    assert session.objects()[0].prompted == tuple(range(2, 12))
    session.undo()
    session.import_annotations(files / "graph.json", masks="tracked")
    assert session.objects()[0].prompted == (2,)
    with pytest.raises(InputError, match="masks is 'some': give 'fixed' or 'tracked'"):
        session.import_annotations(files / "graph.json", masks="some")


@pytest.mark.parametrize("name", ["graph.json", "coco.json", "pvsg"])
def test_names_of_its_own_go_with_the_file(annotated, make_session, tmp_path, name):
    annotated.rename(2, "welding torch", new="thing")
    annotated.rename(3, "slag", new="stuff")
    annotated.relate(3, 1, "waving to", [(2, 4)], new=True)
    annotated.add_name("never used", "predicate")
    kind = {"graph.json": "scene_graph", "coco.json": "coco"}.get(name, "open_pvsg")
    annotated.export(kind, tmp_path / name)
    other = make_session(model=scripted.model(trained=False))
    before, known = everything(other), other.vocabulary
    other.import_annotations(tmp_path / name)
    names, relations = graph_of(other)
    assert [category for category, _ in names] == ["adult", "welding torch", "slag"]
    added = Vocabulary(("welding torch",), ("slag",), ("waving to",))
    if name == "coco.json":
        added = Vocabulary(("welding torch",), ("slag",), ())
    else:
        assert (2, 0, "waving to", ((2, 4),)) in relations
    assert other.vocabulary == known.joined(added), "names that are in use alone"
    other.undo()
    assert everything(other) == before
    assert other.vocabulary == known, "with the objects, as one action"
    own = Vocabulary(("adult",), ("cup",), ("looking at",))
    other.set_vocabulary(own)  # it has a name of the file as another kind: that stays
    other.import_annotations(tmp_path / name)
    assert other.vocabulary.stuff == ("cup", "slag")
    assert other.vocabulary.things == ("adult", "welding torch")


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (None, "unknown predicate 'welds'.*; mend it there, or add it to the vocab"),
        ({"predicate": ["weld"]}, "unknown predicate 'welds'"),
        ({"predicate": 3}, "its vocabulary is no lists of names: export it again"),
        ([], "unknown predicate 'welds'"),
        ([1], "its vocabulary is no lists of names"),
        ({"thing": ["welds"]}, "unknown predicate 'welds'"),
    ],
)
def test_names_that_a_file_does_not_declare_are_refused(
    annotated, files, declared, words
):
    path, before = files / "graph.json", everything(annotated)
    document = json.loads(path.read_text())
    document["relations"][0][2] = "welds"
    document["provenance"]["vocabulary"] = declared
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=words):
        annotated.import_annotations(path)
    assert everything(annotated) == before


def test_each_form_of_a_mask_in_coco(annotated, tmp_path):
    graph = annotated.graph()
    write_coco(tmp_path / "a.json", graph)
    document = json.loads((tmp_path / "a.json").read_text())
    square = np.pad(np.ones((16, 16), bool), ((4, 44), (4, 44)))
    forms = [
        encode_mask(square),
        run_lengths(square),
        [[4, 4, 20, 4, 20, 20, 4, 20]],  # polygons, from edge to edge
    ]
    for form in forms:
        document["annotations"][0]["segmentation"] = form
        (tmp_path / "b.json").write_text(json.dumps(document))
        found = read_any(tmp_path / "b.json", graph.video)[0]
        assert (decode_mask(found.objects[0].masks[2]) == square).mean() > 0.99
        if not isinstance(form, list):
            assert found.objects[0].masks[2] == forms[0]


def test_frames_are_the_numbers_of_file_names(annotated, files, tmp_path):
    graph = annotated.graph()
    masks = next((files / "pvsg").glob("*/masks/*"))
    # What macOS puts beside files, a frame without a mask, and one beyond 9999.
    (masks / "._0000.png").write_bytes(b"not a picture")
    (masks / "0003.png").unlink()
    (masks / "0011.png").rename(masks / "10011.png")
    found = read_any(files / "pvsg", graph.video)[0]
    expected = {t: code for t, code in graph.objects[0].masks.items() if t != 3}
    expected[10011] = expected.pop(11)
    assert found.objects[0].masks == expected

    document = json.loads((files / "coco.json").read_text())
    for image in document["images"]:
        image["file_name"] = f"frame_{image.pop('frame_index')}.jpg"
    (tmp_path / "plain.json").write_text(json.dumps(document))
    found = read_any(tmp_path / "plain.json", graph.video)[0]
    assert found.objects[0].masks == graph.objects[0].masks


INF, NAN = float("inf"), float("nan")
GRAPHS = [
    (lambda d: d["objects"].pop(1), "holding 2 is of object 2, which has no mask"),
    (lambda d: d["objects"][0]["masks"].update({"12": d["objects"][0]["masks"]["2"]}),
     "object 1 has a mask on frame 12, but the video ends with frame 11"),
    (lambda d: d["objects"][0]["masks"]["2"].update(counts="x"), "is damaged"),
    (lambda d: d["objects"][0].update(category="robot"), "unknown category 'robot'"),
    (lambda d: d["objects"][0].update(object_id=2), "it has two objects 2"),
    (lambda d: d["objects"][0].update(masks={}), "object 1 has no mask: leave it out"),
    (lambda d: d["relations"][0].__setitem__(3, [[3, 6], [5, 7]]), "overlap"),
    (lambda d: d["relations"][0].__setitem__(3, [[3, 12]]), "goes beyond the video"),
    (lambda d: d["relations"][0].__setitem__(3, [[3]]), "not a complete|must be"),
    (lambda d: d["relations"][0].__setitem__(2, "welds"), "unknown predicate 'welds'"),
    (lambda d: d["relations"][0].__setitem__(1, d["relations"][0][0]), "with itself"),
    (lambda d: d["relations"].__setitem__(1, d["relations"][0]), "is given twice"),
    (lambda d: d["video"].update(width=32), "of 32x64, but this one is 64x64"),
    (lambda d: d["video"].update(times=d["video"]["times"][1:], num_frames=11),
     "of 11 frames, but the video has 12"),
    (lambda d: d["video"].update(num_frames=999), "is 999, but there are 12 .times"),
    (lambda d: d["relations"][0].__setitem__(3, []), "there is no span: give one"),
    (lambda d: d["relations"][0].__setitem__(3, [[-3, 2]]),
     "-3 to 2 begins before the video"),
    (lambda d: d.pop("objects"), "not a complete scene graph"),
    (lambda d: d.update(schema_version=9), "schema version 9"),
]  # fmt: skip
COCOS = [
    (lambda d: d["annotations"][3].pop("track_id"), "annotation 4 has no track_id"),
    (lambda d: d["annotations"][3].update(image_id=99), "no image_id 99"),
    (lambda d: d["annotations"][3].update(category_id=999), "no category_id 999"),
    (lambda d: d["annotations"][3].update(image_id=5), "two masks on frame 4"),
    (lambda d: d["annotations"][3].update(category_id=2), "give it one category"),
    (lambda d: d["annotations"][3].update(segmentation={"size": [64, 64],
     "counts": "zz"}), "on frame 5 is damaged"),
    (lambda d: d["annotations"][3].update(segmentation=7), "on frame 5 is damaged"),
    (lambda d: d["annotations"][3].pop("segmentation"), "no 'segmentation'"),
    *[
        (lambda d, form=form: d["annotations"][3].update(segmentation=form),
         "on frame 5 is damaged")
        for form in (
            [[0, 0, INF, 0, 5, 5]], [[0, 0, NAN, 0, 5, 5]], [[0, 0, 1e30, 0, 5, 5]],
            [[0, 0, 1e6, 0, 5, 5]], [[0, 0, 1]], [0, 0, 5, 0, 5, 5], [],
            {"size": [64, 64], "counts": [-5, 4101]}, {"size": [64, 64]},
            {"size": [64, 64], "counts": [INF]}, {"size": [INF, 64], "counts": [9]},
            {"size": [1 << 40, 1 << 40], "counts": [1 << 80]},
        )
    ],
    (lambda d: d["annotations"][3].update(track_id=INF),
     "annotation 4 has the track_id inf: give a whole number"),
    (lambda d: d["annotations"][3].update(track_id=[1]), "track_id .1.: give a whole"),
    (lambda d: d["images"][0].update(width=INF), "image 1 has the width inf: give"),
    (lambda d: d["images"][0].update(height=0.5), "has the height 0.5: give a whole"),
    (lambda d: d["images"][3].update(frame_index=NAN), "has the frame_index nan: give"),
    (lambda d: d.update(images=[]), "it has no images"),
    (lambda d: d["images"].pop(), "no image_id 12"),
    (lambda d: d["images"][0].update(width=9), "have several sizes"),
    (lambda d: d.pop("categories"), "not COCO instances"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [("graph.json", *row) for row in GRAPHS] + [("coco.json", *row) for row in COCOS],
)
def test_what_a_file_has_wrong_is_named_and_nothing_taken(
    annotated, files, name, change, words
):
    document = json.loads((files / name).read_text())
    change(document)
    (files / name).write_text(json.dumps(document))
    before = everything(annotated)
    with pytest.raises(InputError, match=words) as told:
        annotated.import_annotations(files / name)
    assert "\n" not in str(told.value)
    assert str(files / name) in str(told.value)
    assert everything(annotated) == before


def test_what_a_folder_has_wrong_is_named(annotated, files):
    folder = files / "pvsg"
    document = json.loads((folder / "pvsg.json").read_text())
    video = document["data"][0]["video_id"]
    with pytest.raises(InputError, match=f"no video 'other', but {video}"):
        annotated.import_annotations(folder, video_id="other")
    del document["data"][0]["objects"][2]
    (folder / "pvsg.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="has no object 3: mend one of them"):
        annotated.import_annotations(folder)
    (folder / "pvsg.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        annotated.import_annotations(folder)
    (folder / "pvsg.json").write_text("[]")
    with pytest.raises(InputError, match="not a pvsg"):
        annotated.import_annotations(folder)
    with pytest.raises(InputError, match="cannot be read"):
        annotated.import_annotations(files / "nowhere.json")


# Many sessions


def test_sessions_are_one_download_without_any_fault(annotated, make_session, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from open_pvsg.preparation import scan_download

    other = make_session(model=scripted.model(trained=False))
    annotated.export("scene_graph", tmp_path / "graph.json")
    other.import_annotations(tmp_path / "graph.json")
    other.rename(1, "robot", new="thing")
    folder = tmp_path / "pvsg"
    export_sessions([annotated, other, annotated], folder, ["train", "val", "train"])
    found = scan_download(folder, workers=1)
    assert not found.annotations.findings
    assert {v.video_id: v.split for v in found.annotations.videos} == {
        "video": "train",
        "video_2": "val",
        "video_3": "train",
    }
    assert "robot" in found.annotations.things
    for scan in found.scans.values():
        assert scan.num_frames == 12
    spans = {
        (s.predicate, s.start, s.end)
        for video in found.annotations.videos
        for s in video.spans
    }
    assert spans == {("holding", 3, 5), ("holding", 8, 11), ("looking at", 2, 4)}


def test_what_has_no_name_is_listed_and_nothing_is_written(
    annotated, make_session, tmp_path
):
    other = make_session(model=scripted.model(trained=False))
    other.click(**SUBJECT)
    other.click(2, **OTHER)
    run(other.track())
    other.rename(1, "adult")
    folder = tmp_path / "pvsg"
    with pytest.raises(InputError, match=r"have no name \(frames: 2\): name them"):
        export_sessions([annotated, other], folder)
    assert not folder.exists()
    export_sessions([annotated, other], folder, leave_out=True)
    document = json.loads((folder / "pvsg.json").read_text())
    assert [len(video["objects"]) for video in document["data"]] == [3, 1]
    with pytest.raises(InputError, match="exists already"):
        export_sessions([annotated], folder)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="2 videos have 1 splits"):
        export_sessions([annotated, other], folder, ["val"])
    with pytest.raises(InputError, match="the split is 'test': give train or val"):
        export_sessions([annotated], folder, ["test"])
    with pytest.raises(InputError, match="there is no video to export"):
        export_sessions([], folder)
    other.set_vocabulary(Vocabulary(("robot",), ("adult",), ("on",)))
    with pytest.raises(InputError, match="'adult' is a thing in one vocabulary and"):
        export_sessions([annotated, other], folder, leave_out=True)
    assert not folder.exists()


def test_each_fifth_video_is_for_validation():
    assert default_splits(1) == ["train"]
    assert default_splits(3) == ["train", "train", "val"]
    assert default_splits(6) == ["train"] * 4 + ["val", "train"]


def test_an_imported_folder_is_exported_as_it_was(annotated, make_session, tmp_path):
    write_open_pvsg(tmp_path / "a", annotated.graph(), annotated.video)
    session = make_session(model=scripted.model(trained=False))
    session.import_annotations(tmp_path / "a")
    session.export("open_pvsg", tmp_path / "b")
    one, other = (
        json.loads((tmp_path / name / "pvsg.json").read_text()) for name in "ab"
    )
    for document in (one, other):
        document["data"][0]["relations"].sort()
    assert one == other
    for path in sorted((tmp_path / "a").rglob("*.png")):
        again = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert again.read_bytes() == path.read_bytes()
