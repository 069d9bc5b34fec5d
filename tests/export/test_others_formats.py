"""GraphML, COCO and JSON as readers other than ours take them."""

import dataclasses
import json
import xml.etree.ElementTree as ElementTree

import networkx as nx
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from c2g_jax.export.coco import coco_document, write_coco
from c2g_jax.export.graphml import write_graphml
from c2g_jax.export.names import plain_stem, unicode_text, xml_text
from c2g_jax.export.open_pvsg import AnnotatedVideo, write_videos
from c2g_jax.export.read import read_open_pvsg
from c2g_jax.export.scene_graph_json import graph_to_json, write_scene_graph
from c2g_jax.types import Frame, InputError, Relation, SceneGraph
from c2g_jax.vocabulary import load_vocabulary
from tests.export.test_scene_graph_json import scene_graph

# A vertical tab, an escape, a byte that is not UTF-8, half a surrogate pair, U+FFFE.
ODD = "a\x0b\x1b\udcff\ud800\ufffe&<\u00e9\U0001f600\tz"
PLAIN = "a\ufffd\ufffd\ufffd\ufffd\ufffd&<\u00e9\U0001f600\tz"


def named(name: str, relations=None) -> SceneGraph:
    graph = scene_graph()
    video = dataclasses.replace(graph.video, name=name)
    relations = graph.relations if relations is None else relations
    return dataclasses.replace(graph, video=video, relations=relations)


def test_every_edge_of_graphml_has_an_id_of_its_own(tmp_path):
    pairs = [(1, 2), (2, 1), (1, 2), (2, 1)]
    names = ["holding", "holding", "on", "on"]
    relations = tuple(
        Relation(*pair, name, ((0, 1),), 0.5)
        for pair, name in zip(pairs, names, strict=True)
    )
    write_graphml(tmp_path / "a.graphml", named("a.mp4", relations))
    root = ElementTree.parse(tmp_path / "a.graphml").getroot()
    space = "{http://graphml.graphdrawing.org/xmlns}"
    edges = list(root.iter(f"{space}edge"))
    assert len({edge.get("id") for edge in edges}) == 4
    ids = [x.get("id") for x in root.iter() if x.get("id") is not None]
    assert len(set(ids)) == len(ids), "no id of a node, a key or an edge repeats"
    read = nx.read_graphml(tmp_path / "a.graphml", force_multigraph=True)
    found = [(int(s), int(o), d["predicate"]) for s, o, d in read.edges(data=True)]
    wanted = [(*pair, name) for pair, name in zip(pairs, names, strict=True)]
    assert sorted(found) == sorted(wanted)


def test_graphml_with_names_that_xml_forbids(tmp_path):
    graph = named(ODD)
    odd = tuple(dataclasses.replace(o, category=ODD) for o in graph.objects)
    relations = (Relation(1, 2, ODD, ((0, 1),), 0.5),)
    graph = dataclasses.replace(graph, objects=odd, relations=relations)
    write_graphml(tmp_path / "a.graphml", graph)
    ElementTree.parse(tmp_path / "a.graphml")
    read = nx.read_graphml(tmp_path / "a.graphml", force_multigraph=True)
    assert {node["category"] for _, node in read.nodes(data=True)} == {PLAIN}
    assert [edge["predicate"] for *_, edge in read.edges(data=True)] == [PLAIN]
    assert read.graph["video"] == PLAIN


def test_coco_has_supercategories_and_names_with_the_video(tmp_path):
    write_coco(tmp_path / "a.json", named("my clip.mp4"))
    coco = COCO(str(tmp_path / "a.json"))
    things, stuff = (coco.getCatIds(supNms=[kind]) for kind in ("thing", "stuff"))
    assert len(things) + len(stuff) == 126
    assert {c["isthing"] for c in coco.loadCats(things)} == {1}
    names = [image["file_name"] for image in coco.loadImgs(coco.getImgIds())]
    assert names == [f"my_clip/{t:06d}.jpg" for t in range(3)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_coco_writes_the_frames_that_it_names(tmp_path):
    graph = named("my clip.mp4")
    rgb = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), np.uint8)
    frames = [Frame(t, t / 5, picture) for t, picture in enumerate(rgb)]
    write_coco(tmp_path / "a.json", graph, frames=frames)
    images = coco_document(graph)["images"]
    for image in images:
        with Image.open(tmp_path / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) == (8, 6)
    assert len(list((tmp_path / "my_clip").iterdir())) == 3


def test_coco_keeps_two_videos_apart_whatever_their_script(tmp_path):
    for k, name in enumerate(("\u4eba.mp4", "\u72ac.mp4")):
        graph = named(name)
        rgb = np.full((6, 8, 3), 90 * k, np.uint8)
        frames = [Frame(t, 0.0, rgb) for t in range(3)]
        write_coco(tmp_path / f"{k}.json", graph, frames=frames)
    for name, grey in (("\u4eba", 0), ("\u72ac", 90)):
        with Image.open(tmp_path / name / "000000.jpg") as picture:
            assert abs(int(np.asarray(picture)[0, 0, 0]) - grey) < 3


def folder_of(place):
    return {path.name: path.read_bytes() for path in sorted(place.rglob("*.*"))}


def write_frames(path, graph, grey=0, length=3):
    rgb = np.full((6, 8, 3), grey, np.uint8)
    write_coco(path, graph, frames=[Frame(t, 0.0, rgb) for t in range(length)])


def test_coco_writes_frames_again_where_it_wrote_them_before(tmp_path):
    graph = named("clip.mp4")
    write_frames(tmp_path / "a.json", graph)
    first = folder_of(tmp_path)
    write_frames(tmp_path / "a.json", graph, grey=90)
    assert folder_of(tmp_path).keys() == first.keys()
    assert folder_of(tmp_path) != first
    write_coco(tmp_path / "a.json", graph)  # the document alone
    write_frames(tmp_path / "a.json", graph)
    assert folder_of(tmp_path) == first
    shorter = dataclasses.replace(graph.video, times=graph.video.times[:2])
    own = tuple(
        dataclasses.replace(o, masks={t: m for t, m in o.masks.items() if t < 2})
        for o in graph.objects
    )
    graph = dataclasses.replace(graph, video=shorter, objects=own)
    write_frames(tmp_path / "a.json", graph, length=2)
    names = sorted(path.name for path in (tmp_path / "clip").iterdir())
    assert names == ["000000.jpg", "000001.jpg"], "no frame of the export before"


@pytest.mark.parametrize("case", ["frames of others", "a file more", "a file", "names"])
def test_coco_replaces_no_frames_that_it_did_not_write(tmp_path, case):
    graph, folder = named("clip.mp4"), tmp_path / "clip"
    if case == "names":  # the document names them, but its export did not write them
        write_coco(tmp_path / "a.json", graph)
    if case == "a file more":
        write_frames(tmp_path / "a.json", graph)
        (folder / "000009.jpg").write_bytes(b"mine")
    elif case == "a file":
        folder.write_bytes(b"mine")
    else:
        folder.mkdir()
        (folder / "000000.jpg").write_bytes(b"mine")
    before = folder_of(tmp_path)
    with pytest.raises(InputError) as caught:
        write_frames(tmp_path / "a.json", graph, grey=90)
    assert str(caught.value) == (
        f"{folder} is there already, and no earlier export to a.json wrote it: move it "
        "away, or write a.json to another folder"
    )
    assert folder_of(tmp_path) == before


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("\u4eba.mp4", "\u72ac.mp4"), ["\u4eba", "\u72ac"]),
        (("[a].mp4", "a.mp4", "A.mov"), ["[a]", "a", "A_2"]),
    ],
)
def test_an_open_pvsg_folder_gives_each_video_its_own(tmp_path, names, ids):
    things = load_vocabulary().things
    videos, frames = (
        [],
        [Frame(t, 0.1 * t, np.zeros((6, 8, 3), np.uint8)) for t in (0, 1, 2)],
    )
    for name, thing in zip(names, things, strict=False):
        graph = named(name, ())
        own = tuple(dataclasses.replace(o, category=thing) for o in graph.objects)
        graph = dataclasses.replace(graph, objects=own)
        videos.append(AnnotatedVideo(graph, lambda: frames))
    write_videos(tmp_path / "all", videos)
    data = json.loads((tmp_path / "all" / "pvsg.json").read_text("utf-8"))["data"]
    assert [video["video_id"] for video in data] == ids
    for name, thing, video_id in zip(names, things, ids, strict=False):
        asked = video_id if video_id.endswith("_2") else None
        found = read_open_pvsg(tmp_path / "all", named(name).video, asked)
        assert {o.category for o in found.objects} == {thing}


def test_an_open_pvsg_folder_with_names_of_earlier_versions(tmp_path):
    frames = [Frame(t, 0.1 * t, np.zeros((6, 8, 3), np.uint8)) for t in (0, 1, 2)]
    videos = [
        AnnotatedVideo(named(n, ()), lambda: frames) for n in ("caf.mp4", "b.mp4")
    ]
    write_videos(tmp_path / "all", videos, leave_out=True)
    found = read_open_pvsg(tmp_path / "all", named("caf(\u00e9).mp4").video)
    assert found.objects
    with pytest.raises(InputError, match="there is no video '\u4eba', but b, caf"):
        read_open_pvsg(tmp_path / "all", named("\u4eba.mp4").video)


def test_json_of_names_that_are_not_utf_8(tmp_path):
    graph = dataclasses.replace(
        named("a\udcff.mp4"), provenance={"checkpoint": {"name": "b\ud800"}}
    )
    write_scene_graph(tmp_path / "a.json", graph)
    write_coco(tmp_path / "b.json", graph)
    for name in ("a.json", "b.json"):
        text = (tmp_path / name).read_text("utf-8")
        json.loads(text)
        assert "\\ud" not in text, "no lone surrogate, which strict readers refuse"
    document = graph_to_json(graph)
    assert document["video"]["name"] == "a\ufffd.mp4"
    assert document["provenance"]["checkpoint"]["name"] == "b\ufffd"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("clip.mp4", "clip"),
        ("a b/c.d.mp4", "c_d"),
        ("\u00e9\udcff", "\u00e9"),
        ("\u4eba.mp4", "\u4eba"),
        ("\u0915\u093f\u0924\u093e\u092c.mp4", "\u0915\u093f\u0924\u093e\u092c"),
        ("cl ip!.mp4", "cl_ip!"),
        ('a<b>:"|?*\\c\x01\x7f.mp4', "a_b_c"),
        ("_a__b.mp4", "a__b"),
        ("NUL.mp4", "video_NUL"),
        ("\udcff.mp4", "video"),
        ("", "video"),
    ],
)
def test_a_video_s_name_as_a_folder(name, stem):
    assert plain_stem(name) == stem


def test_text_that_is_plain_stays():
    plain = "caf\u00e9 \U0001f600\n"
    assert unicode_text({"a": [plain, 1, None]}) == {"a": [plain, 1, None]}
    assert xml_text(plain) == plain
