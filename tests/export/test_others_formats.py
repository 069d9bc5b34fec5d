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
from c2g_jax.export.scene_graph_json import graph_to_json, write_scene_graph
from c2g_jax.types import Frame, Relation, SceneGraph
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
        ("\u00e9\udcff", "video"),
        ("", "video"),
    ],
)
def test_a_video_s_name_as_a_folder(name, stem):
    assert plain_stem(name) == stem


def test_text_that_is_plain_stays():
    plain = "caf\u00e9 \U0001f600\n"
    assert unicode_text({"a": [plain, 1, None]}) == {"a": [plain, 1, None]}
    assert xml_text(plain) == plain
