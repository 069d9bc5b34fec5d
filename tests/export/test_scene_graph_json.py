import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

import c2g_jax
from c2g_jax.export.scene_graph_json import (
    graph_to_json,
    read_scene_graph,
    write_scene_graph,
)
from c2g_jax.media.rle import decode_mask, encode_mask
from c2g_jax.types import (
    InputError,
    ObjectTrack,
    Relation,
    SceneGraph,
    SubjectFrame,
    Triplet,
    VideoInfo,
)

SCHEMA = Path(c2g_jax.__file__).parent / "export" / "scene_graph.schema.json"


def mask(seed):
    return np.random.default_rng(seed).random((6, 8)) < 0.4


def scene_graph():
    first = {t: encode_mask(mask(t)) for t in (0, 1, 2)}
    return SceneGraph(
        video=VideoInfo("a.mp4", 8, 6, 5.0, (0.0, 0.2002, 0.4004)),
        objects=(
            ObjectTrack(1, "adult", 0.75, None, first),
            ObjectTrack(2, "cup", 1.0, 1, {2: encode_mask(mask(3))}),
        ),
        relations=(
            Relation(1, 2, "holding", ((0, 0), (2, 2)), 0.9),
            Relation(2, 1, "in front of", ((1, 2),), 0.1),
        ),
        provenance={"program": "test", "prompts": [{"frame": 0}]},
        frames=(
            SubjectFrame(
                2,
                1,
                np.float32([[1.5, 2.25], [0.75, 3.0]]),
                (Triplet(2, "adult", "cup", "holding", 0.9),),
            ),
        ),
        run={"index": 3, "prompt": "point"},
    )


def comparable(graph):
    """Return the graph as plain values that `==` can compare."""
    plain = dataclasses.asdict(graph)
    for subject in plain["frames"]:
        subject["points"] = subject["points"].tolist()
    return plain


def problems(value, schema, place="$"):
    """Return the violations of the schema, for the keywords that it uses."""
    known = {"integer": int, "number": (int, float), "string": str, "object": dict}
    known |= {"array": list, "null": type(None)}
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, known[kind]) for kind in kinds):
        return [f"{place}: {value!r} is not {kinds}"]
    if value != schema.get("const", value):
        return [f"{place}: {value!r}"]
    found = []
    if isinstance(value, dict):
        own, patterns = (
            schema.get("properties", {}),
            schema.get("patternProperties", {}),
        )
        found += [
            f"{place}: no {k}" for k in schema.get("required", ()) if k not in value
        ]
        for key, item in value.items():
            fits = [own[key]] if key in own else []
            fits += [s for p, s in patterns.items() if re.search(p, key)]
            if not fits and schema.get("additionalProperties") is False:
                found.append(f"{place}: {key} is unknown")
            for inner in fits:
                found += problems(item, inner, f"{place}.{key}")
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1e9):
            found.append(f"{place}: {len(value)} items")
        prefix = schema.get("prefixItems", [])
        for i, item in enumerate(value):
            inner = prefix[i] if i < len(prefix) else schema.get("items", {})
            found += problems(item, inner, f"{place}[{i}]")
    elif isinstance(value, (int, float)):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high or value <= schema.get("exclusiveMinimum", -1e9):
            found.append(f"{place}: {value}")
    return found


def test_the_document_has_the_form_of_the_schema(tmp_path):
    write_scene_graph(tmp_path / "a.json", scene_graph())
    schema = json.loads(SCHEMA.read_text())
    document = json.loads((tmp_path / "a.json").read_text())
    assert problems(document, schema) == []
    assert document["relations"] == [
        [1, 2, "holding", [[0, 0], [2, 2]]],
        [2, 1, "in front of", [[1, 2]]],
    ]
    assert document["relation_scores"] == [0.9, 0.1]
    assert document["relation_seconds"] == [
        [[0.0, 0.0], [0.4004, 0.4004]],
        [[0.2002, 0.4004]],
    ]
    assert document["video"]["num_frames"] == 3
    assert document["objects"][0]["prompted_by"] == "user"
    assert document["objects"][1]["prompted_by"] == 1
    assert document["objects"][1]["masks"]["2"]["size"] == [6, 8]
    assert document["frames"] == [
        {
            "t": 2,
            "subject": 1,
            "points": [[1.5, 2.25], [0.75, 3.0]],
            "predictions": [
                {
                    "object": 2,
                    "subject_category": "adult",
                    "object_category": "cup",
                    "predicate": "holding",
                    "confidence": 0.9,
                }
            ],
        }
    ]


def words(schema):
    """Return all keywords of a schema."""
    found = set(schema)
    for key in ("properties", "patternProperties"):
        for inner in schema.get(key, {}).values():
            found |= words(inner)
    items = [schema["items"]] if "items" in schema else []
    for inner in (*schema.get("prefixItems", []), *items):
        found |= words(inner)
    return found


def test_the_schema_has_no_word_that_goes_unchecked():
    checked = {"type", "const", "properties", "patternProperties", "required"}
    checked |= {"additionalProperties", "minItems", "maxItems", "prefixItems", "items"}
    checked |= {"minimum", "maximum", "exclusiveMinimum"}
    told = {"$schema", "$id", "title", "description"}
    assert words(json.loads(SCHEMA.read_text())) <= checked | told


def test_the_schema_forbids():
    schema = json.loads(SCHEMA.read_text())
    document = graph_to_json(scene_graph())
    del document["provenance"]
    document["video"]["fps"] = 0
    document["objects"][0]["masks"]["x"] = {}
    document["relations"][0][3] = []
    document["extra"] = 1
    assert sorted(problems(document, schema)) == [
        "$.objects[0].masks: x is unknown",
        "$.relations[0][3]: 0 items",
        "$.video.fps: 0",
        "$: extra is unknown",
        "$: no provenance",
    ]


@pytest.mark.parametrize("bare", [False, True])
def test_a_graph_comes_back_the_same(tmp_path, bare):
    graph = scene_graph()
    if bare:
        info = VideoInfo("a.png", 8, 6, None, (0.0,))
        graph = SceneGraph(info, (), ())
    write_scene_graph(tmp_path / "a.json", graph)
    back = read_scene_graph(tmp_path / "a.json")
    assert comparable(back) == comparable(graph)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_graph_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    write_scene_graph(path, scene_graph())
    old = path.read_text()
    broken = dataclasses.replace(scene_graph(), provenance={"loss": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        write_scene_graph(path, broken)
    assert path.read_text() == old
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such scene graph"),
        ("{", "not JSON"),
        ("[]", "a list or a value, not a scene graph"),
        ("{}", "no schema_version, so it is no scene graph"),
        ('{"schema_version": 99}', "schema version 99, but this reads 1"),
        ('{"schema_version": 1}', "not a complete scene graph"),
    ],
)
def test_files_that_are_no_scene_graph(tmp_path, text, words):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_scene_graph(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["relation_scores"].pop(), 'relations", but . "relation_scores'),
        (lambda d: d.pop("relations"), "there is no 'relations'"),
        (lambda d: d.update(objects=None), '"objects" is not a list'),
        (lambda d: d["relations"][0].__setitem__(2, ["on"]), '0 of "relations" is not'),
        (lambda d: d["relations"][0].__setitem__(0, float("inf")), "is not .subject"),
        (lambda d: d["objects"][0].update(object_id=[1]), '0 of "objects" has no'),
        (lambda d: d["objects"][0].update(masks=[]), "of the wrong kind"),
    ],
)
def test_what_a_graph_has_wrong_is_said_in_words(tmp_path, change, words):
    path = tmp_path / "a.json"
    document = graph_to_json(scene_graph())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=words) as error:
        read_scene_graph(path)
    told = str(error.value)
    assert not any(x in told for x in ("Error", "zip()", "NoneType", "\n"))


def test_masks_are_coco_run_lengths():
    column_first = np.zeros((2, 3), bool)
    column_first[0, 1] = column_first[1, 1] = True
    code = encode_mask(column_first)
    # Column-major: two off, two on, two off; a run of n is the character 48 + n.
    assert code == {"size": [2, 3], "counts": "222"}
    for seed in range(5):
        np.testing.assert_array_equal(decode_mask(encode_mask(mask(seed))), mask(seed))
    assert decode_mask(encode_mask(mask(0))).dtype == bool
