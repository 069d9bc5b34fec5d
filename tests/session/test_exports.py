import csv
import json

import av
import networkx as nx
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from c2g_jax.export.open_pvsg import write_open_pvsg
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import decode_mask
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary
from tests.export.test_scene_graph_json import SCHEMA, problems
from tests.session import scripted
from tests.session.conftest import centre, run


@pytest.fixture
def worked_on(session):
    """A subject, what it found, and another object that was added by hand."""
    session.click(2, **centre(1, 1))
    session.add_object(1, 4, **centre(11, 1))
    run(session.track())
    session.rename(1, "adult")
    session.set_predicate(1, 2, "holding", 3, 5)
    return session


@pytest.fixture
def graph(worked_on):
    return worked_on.graph()


def related(graph, number) -> list[tuple]:
    """The relations by span, with other numbers for the objects."""
    return sorted(
        (number[r.subject_id], number[r.object_id], r.predicate, first, last)
        for r in graph.relations
        for first, last in r.spans
    )


def test_scene_graph_follows_its_schema(worked_on, graph, tmp_path):
    path = tmp_path / "new" / "scene_graph.json"
    worked_on.export("scene_graph", path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert problems(document, json.loads(SCHEMA.read_text(encoding="utf-8"))) == []
    again = read_scene_graph(path)
    assert again.objects == graph.objects
    assert again.relations == graph.relations


def test_coco_is_read_by_pycocotools(worked_on, graph, tmp_path):
    worked_on.export("coco", tmp_path / "coco.json")
    coco = COCO(str(tmp_path / "coco.json"))
    assert len(coco.imgs) == 12
    seen = {}
    for row in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(row).astype(bool)
        x, y, width, height = (round(v) for v in row["bbox"])
        assert mask.sum() == row["area"] == mask[y : y + height, x : x + width].sum()
        name = coco.cats[row["category_id"]]["name"]
        seen[row["track_id"], row["image_id"] - 1] = name, mask
    for track in graph.objects:
        for frame, code in track.masks.items():
            name, mask = seen.pop((track.object_id, frame))
            assert name == track.category
            assert (mask == decode_mask(code)).all()
    assert not seen


def test_graphml_is_read_by_networkx(worked_on, graph, tmp_path):
    worked_on.export("graphml", tmp_path / "a.graphml")
    read = nx.read_graphml(tmp_path / "a.graphml", force_multigraph=True)
    assert {
        (int(i), node["category"], node["score"]) for i, node in read.nodes(data=True)
    } == {(o.object_id, o.category, o.score) for o in graph.objects}
    assert {
        (int(s), int(o), edge["predicate"], edge["spans"], edge["score"])
        for s, o, edge in read.edges(data=True)
    } == {
        (
            r.subject_id,
            r.object_id,
            r.predicate,
            " ".join(f"{a}-{b}" for a, b in r.spans),
            r.score,
        )
        for r in graph.relations
    }
    assert read.graph["frames"] == 12


def test_csv_is_read_by_the_standard_library(worked_on, graph, tmp_path):
    worked_on.export("csv", tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {o.object_id: o.category for o in graph.objects}
    times = graph.video.times
    assert [
        (
            int(row["subject_id"]),
            row["subject"],
            row["predicate"],
            int(row["object_id"]),
            row["object"],
            int(row["first_frame"]),
            int(row["last_frame"]),
            float(row["last_second"]),
            float(row["score"]),
        )
        for row in rows
    ] == [
        (
            r.subject_id,
            names[r.subject_id],
            r.predicate,
            r.object_id,
            names[r.object_id],
            first,
            last,
            times[last],
            r.score,
        )
        for r in graph.relations
        for first, last in r.spans
    ]


def test_overlay_is_read_by_pyav(worked_on, tmp_path):
    worked_on.export("overlay", tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        decoded = list(container.decode(stream))
    assert [f.time for f in decoded] == pytest.approx(worked_on.video.times)
    frames = [f.to_ndarray(format="rgb24") for f in decoded]
    assert len(frames) == 12
    assert frames[0].shape == (64, 64, 3)
    assert np.abs(frames[5][4:20, 4:20].astype(int) - 50).max() > 60  # painted
    assert np.abs(frames[0][4:20, 4:20].astype(int) - 10).max() < 20  # not yet


def test_open_pvsg_is_read_by_its_builder(worked_on, graph, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from open_pvsg.preparation import scan_download

    folder = tmp_path / "pvsg"
    worked_on.export("open_pvsg", folder)
    found = scan_download(folder, workers=1)
    (video,) = found.annotations.videos
    assert not found.annotations.findings
    assert (video.num_frames, video.width, video.height) == (12, 64, 64)
    named = [o for o in graph.objects if o.category != "unknown"]
    assert [o.category for o in video.objects] == [o.category for o in named]
    number = {o.object_id: i + 1 for i, o in enumerate(named)}
    assert sorted(
        (s.subject_id, s.object_id, s.predicate, s.start, s.end) for s in video.spans
    ) == related(graph, number)
    (scan,) = found.scans.values()
    assert scan.num_frames == 12
    masks = folder / "click2graph" / "masks" / video.video_id
    for frame in range(12):
        picture = Image.open(masks / f"{frame:04d}.png")
        assert picture.mode == "P"
        for track in named:
            mask = np.asarray(picture) == number[track.object_id]
            if frame in track.masks:
                assert (mask == decode_mask(track.masks[frame])).all()
            else:
                assert not mask.any()
    with pytest.raises(InputError, match="exists already"):
        worked_on.export("open_pvsg", folder)


def test_open_pvsg_is_built_and_read_as_a_data_set(worked_on, graph, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from open_pvsg.build import build

    from c2g_jax.data.dataset import open_dataset

    worked_on.export("open_pvsg", tmp_path / "pvsg")
    configs = ("videos", "default")
    report = build(tmp_path / "pvsg", tmp_path, "exported", configs)
    assert report is not None
    dataset = open_dataset(tmp_path, "exported")
    (video,) = dataset.videos("val")
    assert dataset.videos("click2graph_val") == (video,)
    frames, segments = dataset.read(video, 0, 12)
    for t, rgb in enumerate(frames):
        assert np.abs(rgb.astype(int) - worked_on.image(t)).max() < 12  # twice coded
    named = [o for o in graph.objects if o.category != "unknown"]
    assert video.object_ids.tolist() == [i + 1 for i in range(len(named))]
    for number, track in enumerate(named, 1):
        objects = dataset.vocabulary.objects
        assert objects[video.category(number)] == track.category
        for t in range(12):
            code = track.masks.get(t)
            mask = np.zeros((64, 64), bool) if code is None else decode_mask(code)
            assert ((segments[t] == number) == mask).all()
    number = {o.object_id: i for i, o in enumerate(named, 1)}
    predicates = dataset.vocabulary.predicates
    assert sorted(
        (s, o, predicates[p], first, last)
        for s, o, p, first, last in video.relations.tolist()
    ) == related(graph, number)


def test_exports_use_the_names_of_the_model(make_session, tmp_path):
    """A checkpoint may know other names; those are the ones in its files."""
    names = Vocabulary(
        ("robot", *(f"thing {i}" for i in range(1, 126))),
        (),
        ("welds", *(f"predicate {i}" for i in range(1, 57))),
    )
    session = make_session(model=scripted.model(vocabulary=names))
    session.click(2, **centre(1, 1))
    run(session.track())
    session.rename(1, "robot")
    session.set_predicate(1, 2, "welds")
    session.export("open_pvsg", tmp_path / "pvsg")
    document = json.loads((tmp_path / "pvsg" / "pvsg.json").read_text("utf-8"))
    (video,) = document["data"]
    assert document["objects"]["thing"][0] == "robot"
    assert document["relations"][0] == "welds"
    assert [o["category"] for o in video["objects"]] == ["robot", "thing 11"]
    assert {r[2] for r in video["relations"]} == {"welds"}
    session.export("coco", tmp_path / "coco.json")
    categories = json.loads((tmp_path / "coco.json").read_text("utf-8"))["categories"]
    assert [c["name"] for c in categories] == list(names.objects)
    assert all(c["isthing"] for c in categories)
    # Without those names the folder cannot be written; nothing is left out in silence.
    graph, place = session.graph(), tmp_path / "other"
    with pytest.raises(InputError, match="object 'robot' is not in the vocabulary"):
        write_open_pvsg(place, graph, session.video)
    known = Vocabulary(names.objects, (), ("holds",))
    with pytest.raises(InputError, match="predicate 'welds' is not in the vocabulary"):
        write_open_pvsg(place, graph, session.video, vocabulary=known)
    assert not place.exists()


def test_coco_with_its_frames(worked_on, tmp_path):
    worked_on.export("coco", tmp_path / "coco.json", frames=True)
    images = json.loads((tmp_path / "coco.json").read_text("utf-8"))["images"]
    assert len(images) == 12
    for image in images:
        with Image.open(tmp_path / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    with pytest.raises(InputError, match="csv has no frames apart"):
        worked_on.export("csv", tmp_path / "a.csv", frames=True)


def test_coco_leaves_the_frames_that_the_session_reads(make_session, tmp_path):
    place = tmp_path / "clip"
    place.mkdir()
    for t, rgb in enumerate(scripted.video(3)):
        Image.fromarray(rgb).save(place / f"{t:06d}.jpg")
    before = [path.read_bytes() for path in sorted(place.iterdir())]
    session = make_session(place)
    session.click(0, **centre(1, 1))
    with pytest.raises(InputError, match="clip is the session's video: write to an"):
        session.export("coco", tmp_path / "coco.json", frames=True)
    assert [path.read_bytes() for path in sorted(place.iterdir())] == before
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_an_unknown_export_is_named(session, tmp_path):
    with pytest.raises(InputError, match=r"'gif'.*coco"):
        session.export("gif", tmp_path / "a.gif")
